//! `/__simulator/…`: on every host the beacon by which pages report a browser session, and on the documents host the
//! control API for a simulator in another process.
//!
//! `GET stats` · `GET log` · `GET truth` · `GET|POST|DELETE faults` (a `Fault` as JSON) · `POST advance?days=N` ·
//! `POST revise?code=…&date=…&nav=…` · `POST active?code=…&active=true|false` · `POST listed?code=…&listed=true|false`
//! · `POST rename?code=…&to=…` · `POST move-factsheet?code=…` ·
//! `POST next-day` (of a living market) · `GET|POST|DELETE mass-changes` (a `MassChange` as JSON) ·
//! `POST publish-holdings?code=…` · `POST browser-only?site=…&only=true|false` ·
//! `GET reported?source=…` · `POST register-keys?keys=KEY,KEY` · `POST expire-cursors`

use serde::Deserialize;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::hosts::Site;
use crate::market::Standing;
use crate::mass_changes::MassChange;
use crate::reported::{Reported, Source};
use crate::request_log::RequestLog;
use crate::site::{Answer, Asked, World};
use crate::truth::Truth;

#[derive(Deserialize)]
struct Beacon {
    session: String,
    webdriver: bool,
    path: String,
}

pub(crate) fn answer(world: &World, site: Site, asked: &Asked) -> Answer {
    let segments = asked.segments();
    let command = segments.get(1).copied().unwrap_or_default();
    match (site, asked.method.as_str(), command) {
        (_, "POST", "beacon") => match serde_json::from_slice::<Beacon>(&asked.body) {
            Ok(beacon) => {
                world
                    .log
                    .beacon(site, &beacon.path, &beacon.session, beacon.webdriver);
                done()
            }
            Err(error) => refused(&error.to_string()),
        },
        (Site::Documents, method, command) => steer(world, method, command, asked),
        _ => Answer::not_found(),
    }
}

fn done() -> Answer {
    Answer::json(200, &json!({ "ok": true }))
}

fn refused(why: &str) -> Answer {
    Answer::json(400, &json!({ "ok": false, "why": why }))
}

fn steer(world: &World, method: &str, command: &str, asked: &Asked) -> Answer {
    let argument = |name: &str| asked.query.get(name).map_or("", String::as_str);
    match (method, command) {
        ("GET", "stats") => Answer::json(200, &stats(world)),
        ("GET", "log") => Answer::json(200, &json!(world.log.snapshot())),
        ("GET", "truth") => {
            let mut text = Vec::new();
            match Truth::write(&world.market(), world.urls(), &mut text) {
                Ok(()) => Answer {
                    status: 200,
                    content_type: "text/tab-separated-values; charset=utf-8",
                    body: text,
                },
                Err(error) => Answer::json(500, &json!({ "why": error.to_string() })),
            }
        }
        ("GET", "reported") => match Source::ALL
            .into_iter()
            .find(|source| source.name() == argument("source"))
        {
            Some(source) => {
                let report = Reported::by(source, &world.market(), world.urls());
                Answer::json(200, &json!(report))
            }
            None => refused("no such source"),
        },
        ("POST", "register-keys") => {
            let keys: Vec<&str> = argument("keys").split(',').collect();
            world.register.set_keys(&keys);
            done()
        }
        ("POST", "expire-cursors") => {
            world.register.expire_cursors();
            done()
        }
        ("GET", "faults") => Answer::json(200, &json!(world.faults.list())),
        ("POST", "faults") => match serde_json::from_slice::<Fault>(&asked.body) {
            Ok(fault) => {
                world.faults.set(fault);
                done()
            }
            Err(error) => refused(&error.to_string()),
        },
        ("DELETE", "faults") => {
            world.faults.clear();
            done()
        }
        ("GET", "mass-changes") => Answer::json(200, &json!(world.mass_changes.list())),
        ("POST", "mass-changes") => match serde_json::from_slice::<MassChange>(&asked.body) {
            Ok(change) => {
                world.set_mass_change(change);
                done()
            }
            Err(error) => refused(&error.to_string()),
        },
        ("DELETE", "mass-changes") => {
            world.clear_mass_changes();
            done()
        }
        ("POST", "next-day") => {
            let day = world.market_mut().next_day();
            let events: Vec<String> = day
                .events
                .iter()
                .map(|event| format!("{event:?}"))
                .collect();
            Answer::json(
                200,
                &json!({ "date": day.date.to_string(), "funds_with_news": day.funds_with_news, "events": events }),
            )
        }
        ("POST", "advance") => match argument("days").parse() {
            Ok(days) => {
                world.market_mut().advance_days(days);
                done()
            }
            Err(_) => refused("days is a whole number"),
        },
        ("POST", "revise") => match argument("date").parse() {
            Ok(date) => outcome(world.market_mut().revise_nav(
                argument("code"),
                date,
                argument("nav"),
            )),
            Err(_) => refused("date is YYYY-MM-DD"),
        },
        ("POST", "active") => outcome(
            world
                .market_mut()
                .set_active(argument("code"), argument("active") == "true"),
        ),
        ("POST", "listed") => outcome(
            world
                .market_mut()
                .set_listed(argument("code"), argument("listed") == "true"),
        ),
        ("POST", "rename") => outcome(world.market_mut().rename(argument("code"), argument("to"))),
        ("POST", "move-factsheet") => outcome(world.market_mut().move_factsheet(argument("code"))),
        ("POST", "publish-holdings") => {
            outcome(world.market_mut().publish_holdings(argument("code")))
        }
        ("POST", "browser-only") => match Site::ALL
            .into_iter()
            .find(|site| site.name() == argument("site"))
        {
            Some(site) => {
                world.set_browser_only(site, argument("only") == "true");
                done()
            }
            None => refused("no such site"),
        },
        _ => Answer::not_found(),
    }
}

fn outcome(result: Result<(), crate::changes::UnknownCode>) -> Answer {
    result.map_or_else(|unknown| refused(&unknown.to_string()), |()| done())
}

fn stats(world: &World) -> Value {
    let log = world.log.snapshot();
    let market = world.market();
    let active = market
        .funds
        .iter()
        .filter(|fund| fund.standing == Standing::Active)
        .count();
    let sites: Vec<Value> = Site::ALL
        .into_iter()
        .map(|site| site_stats(&log, site))
        .collect();
    json!({
        "today": market.today.to_string(),
        "funds": market.funds.len(),
        "active": active,
        "requests": log.requests.len(),
        "webdriver_sessions": log.webdriver_sessions(),
        "sites_alive_at_once": log.sites_alive_at_once(&Site::ALL),
        "sites": sites,
    })
}

fn site_stats(log: &RequestLog, site: Site) -> Value {
    json!({
        "site": site.name(),
        "requests": log.of(site).count(),
        "from_browser": log.of(site).filter(|request| request.from_browser).count(),
        "refused_connections": log.refused_connections.iter().filter(|(refused, _)| *refused == site).count(),
        "most_in_a_second": log.most_in_a_second(site),
        "most_at_once": log.most_at_once(site),
        "inside_retry_after": log.inside_retry_after(site),
    })
}
