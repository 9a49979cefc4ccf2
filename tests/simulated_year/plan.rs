//! The events of one simulated year, derived from its seed.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday, date, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use master_runner::schedule::Schedule;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// More than a year, so that each simulated year contains every date.
pub const DAYS: i64 = 368;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;

/// The way in which a process is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// At once, in any operation.
    Crash,
    /// By a signal: it may complete the current step.
    Stop,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub schedule: Schedule,
    /// In seconds since 1970.
    pub begins: i64,
    pub ends: i64,
    /// When the clock is set, and its error from then on.
    pub clock_steps: Vec<(i64, i64)>,
    /// When the process dies, in which way, and for how many seconds it is down.
    pub deaths: Vec<(i64, Death, i64)>,
}

fn random_time(random: &mut ChaCha8Rng) -> Time {
    time(random.random_range(0..24), random.random_range(0..60), 0, 0)
}

fn schedule(random: &mut ChaCha8Rng, first_day: Date) -> Schedule {
    let zones = [
        "<+07>-7",                              // Bangkok
        "CET-1CEST,M3.5.0,M10.5.0/3",           // Berlin
        "EST5EDT,M3.2.0,M11.1.0",               // New York
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", // Lord Howe: half an hour
    ];
    // Half of the years use Bangkok's time zone.
    let zone = zones[random.random_range(0..8_usize).saturating_sub(4)];
    let (daily_at, retry_at) = match random.random_range(0..9) {
        0 => (time(0, 0, 0, 0), time(23, 59, 30, 0)),
        1 => (time(20, 0, 0, 0), time(2, 0, 0, 0)),
        2 => (time(2, 30, 0, 0), time(3, 30, 0, 0)),
        3 => (time(23, 45, 0, 0), time(23, 59, 0, 0)),
        4 => (time(0, 15, 0, 0), time(0, 15, 0, 0)),
        5 | 6 => (random_time(random), random_time(random)),
        _ => (time(3, 0, 0, 0), time(7, 0, 0, 0)),
    };
    let mut skip_weekdays: Vec<Weekday> = Vec::new();
    for day in 1..=7 {
        if skip_weekdays.len() < 5 && random.random_bool(0.25) {
            skip_weekdays.extend(Weekday::from_monday_one_offset(day).ok());
        }
    }
    let mut holidays = BTreeSet::new();
    for _ in 0..random.random_range(0..20) {
        holidays.insert(first_day + random.random_range(0..DAYS).days());
    }
    if random.random_bool(0.3) {
        holidays.insert(date(2028, 2, 29));
    }
    Schedule {
        timezone: TimeZone::posix(zone).expect("a POSIX time zone"),
        daily_at,
        retry_at,
        skip_weekdays,
        holidays,
        run_on_start: random.random_bool(0.5),
    }
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // The first seeds begin at awkward places in the calendar.
        let first_day = match seed {
            0 => date(2027, 12, 20),
            1 => date(2028, 2, 28),
            2 => date(2026, 10, 25),
            3 => date(2028, 2, 29),
            _ => date(2026, 1, 1) + random.random_range(0..1500).days(),
        };
        let schedule = schedule(&mut random, first_day);
        let first = first_day
            .to_zoned(schedule.timezone.clone())
            .expect("a moment");
        let begins = first.timestamp().as_second() + random.random_range(0..DAY);
        let ends = begins + DAYS * DAY;
        let mut plan = Self {
            seed,
            schedule,
            begins,
            ends,
            clock_steps: Vec::new(),
            deaths: Vec::new(),
        };
        plan.set_clocks(&mut random);
        plan.kill_processes(&mut random);
        plan
    }

    fn is_kept(&self, day: Date) -> bool {
        !self.schedule.skip_weekdays.contains(&day.weekday())
            && !self.schedule.holidays.contains(&day)
    }

    pub fn moment(&self, day: Date, at: Time) -> i64 {
        day.to_datetime(at)
            .to_zoned(self.schedule.timezone.clone())
            .expect("within the calendar")
            .timestamp()
            .as_second()
    }

    pub fn date_at(&self, clock: i64) -> Date {
        Timestamp::from_second(clock)
            .expect("within the calendar")
            .to_zoned(self.schedule.timezone.clone())
            .date()
    }

    /// Every slot of the year and of ten days before and after it, in order.
    pub fn slots(&self) -> Vec<(Date, i64)> {
        let mut day = self.date_at(self.begins) - 10.days();
        let mut slots = Vec::new();
        while day < self.date_at(self.ends) + 10.days() {
            if self.is_kept(day) {
                slots.push((day, self.moment(day, self.schedule.daily_at)));
            }
            day = day.tomorrow().expect("within the calendar");
        }
        slots
    }

    /// `retry_at` on the cycle's day, or on the next day if `retry_at` is not later than `daily_at`.
    pub fn retry_moment(&self, cycle_date: Date) -> i64 {
        let day = if self.schedule.retry_at > self.schedule.daily_at {
            cycle_date
        } else {
            cycle_date.tomorrow().expect("within the calendar")
        };
        self.moment(day, self.schedule.retry_at)
    }

    /// A moment at which a change of the clock is critical: a slot, `retry_at`, a midnight, the end of a month, or a
    /// random one.
    fn awkward_moment(&self, random: &mut ChaCha8Rng) -> i64 {
        let any = random.random_range(self.begins..self.ends);
        let day = self.date_at(any);
        let near = match random.random_range(0..6) {
            0 => return any,
            1 => self.moment(day, self.schedule.daily_at),
            2 => self.retry_moment(day),
            3 => self.moment(day, Time::midnight()),
            4 => self.moment(day.first_of_month(), Time::midnight()),
            _ => self.moment(day.first_of_month(), self.schedule.daily_at),
        };
        near + random.random_range(-75 * 60..75 * 60)
    }

    /// Sets the clock forward or back by an hour, and right again after minutes to days.
    fn set_clocks(&mut self, random: &mut ChaCha8Rng) {
        let mut moments: Vec<i64> = (0..random.random_range(0..16))
            .map(|_| self.awkward_moment(random))
            .collect();
        moments.sort_unstable();
        let mut free_from = self.begins;
        for at in moments {
            if at <= free_from {
                continue;
            }
            let wrong = if random.random_bool(0.5) { HOUR } else { -HOUR };
            let back = at + random.random_range(60..3 * DAY);
            self.clock_steps.extend([(at, wrong), (back, 0)]);
            free_from = back;
        }
    }

    fn kill_processes(&mut self, random: &mut ChaCha8Rng) {
        let mut add = |count: i32, death: Death, gone: std::ops::Range<i64>| {
            for _ in 0..count {
                let at = if random.random_bool(0.5) {
                    self.awkward_moment(random)
                } else {
                    random.random_range(self.begins..self.ends)
                };
                self.deaths
                    .push((at, death, random.random_range(gone.clone())));
            }
        };
        add(12, Death::Crash, 1..20 * 60);
        add(6, Death::Stop, 1..HOUR);
        add(3, Death::Crash, HOUR..DAY);
        add(1, Death::Crash, 3 * DAY..3 * DAY + 1);
        add(1, Death::Stop, 2 * DAY..5 * DAY);
        self.deaths.sort_by_key(|(at, ..)| *at);
    }
}
