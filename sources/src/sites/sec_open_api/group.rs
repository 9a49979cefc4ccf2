//! Puts the records of a project together. They are adjacent in a list, but may go on on its next page: the records of
//! the last project of a page are carried over to the next one, so that a statement is always about a whole project.

use std::collections::BTreeSet;

use jiff::civil::Date;
use schema::Dataset;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::api_types::Head;
use super::page::{self, ClassKey, ListPage};
use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Breach;
use crate::sites::findings::Findings;

/// The largest number of records of a project. The largest real portfolios have about 2,000.
const MAX_RECORDS: usize = 5_000;
/// The largest size of the records of a project, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Whose statements the records of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Each record names its share class.
    Class,
    /// Each record is about all classes of its project.
    Project,
}

/// What a page keeps for the next page of its list.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Carry<'json> {
    /// The project of the last records.
    project: String,
    /// Its records so far.
    #[serde(borrow)]
    records: Vec<&'json RawValue>,
    /// Whether the project has too many records. It is rejected, and the rest of it is skipped.
    is_too_large: bool,
    /// Hashes of the statements so far that must not be made twice: project and date.
    finished: BTreeSet<u64>,
}

/// The records of one project.
#[derive(Debug)]
struct Project<'json> {
    id: String,
    records: Vec<Field<'json>>,
    bytes: usize,
    is_too_large: bool,
}

impl<'json> Project<'json> {
    const fn new(id: String) -> Self {
        Self {
            id,
            records: Vec::new(),
            bytes: 0,
            is_too_large: false,
        }
    }

    fn take(&mut self, record: Field<'json>, dataset: Dataset, findings: &mut Findings) {
        if self.is_too_large {
            return;
        }
        self.bytes += record.raw().len();
        if self.records.len() == MAX_RECORDS || self.bytes > MAX_BYTES {
            let reason = format!(
                "expected at most {MAX_RECORDS} records and {MAX_BYTES} bytes of one project, found more"
            );
            page::reject(findings, dataset, "proj_id", reason, record);
            self.records.clear();
            self.is_too_large = true;
            return;
        }
        self.records.push(record);
    }
}

/// The records of one class or one project, with their dates.
#[derive(Debug)]
pub struct Group<'json> {
    /// The key of the class or project.
    pub key: ClassKey,
    /// The dates and the records, in the order of the list.
    pub records: Vec<(Option<Date>, Field<'json>)>,
}

impl<'json> Group<'json> {
    /// The newest date of its records.
    pub fn newest(&self) -> Option<Date> {
        self.records.iter().filter_map(|(date, _)| *date).max()
    }

    /// The records of the newest date.
    pub fn newest_records(&self) -> impl Iterator<Item = Field<'json>> {
        let newest = self.newest();
        let records = self.records.iter();
        records.filter_map(move |(date, record)| (*date == newest).then_some(*record))
    }

    /// The last record of the newest date, parsed.
    pub fn last<T: Deserialize<'json>>(
        &self,
        dataset: Dataset,
        findings: &mut Findings,
    ) -> Option<(T, Field<'json>)> {
        let record = self.newest_records().last()?;
        let row = findings.field(dataset, "*", record.record(), record.raw())?;
        Some((row, record))
    }
}

/// The whole projects of a page, and what is carried over.
pub struct Projects<'json> {
    dataset: Dataset,
    whole: Vec<Project<'json>>,
    unfinished: Option<Project<'json>>,
    finished: BTreeSet<u64>,
}

impl<'json> Projects<'json> {
    /// Puts the records of a page together with those that were carried over to it.
    ///
    /// # Errors
    /// What was carried over cannot be read.
    pub fn of_page(
        list: &ListPage<'json>,
        carried: Option<&'json str>,
        dataset: Dataset,
        findings: &mut Findings,
    ) -> Result<Self, Breach> {
        let carry: Carry<'json> = match carried {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                breach(
                    "carry",
                    "the records of the page before",
                    &error.to_string(),
                )
            })?,
            None => Carry::default(),
        };
        let mut projects: Vec<Project<'json>> = Vec::new();
        if carried.is_some() {
            let mut project = Project::new(carry.project);
            for record in carry.records {
                project.take(Field::of(record), dataset, findings);
            }
            project.is_too_large = carry.is_too_large;
            projects.push(project);
        }
        for (head, record) in list.rows::<Head<'_>>(dataset, findings) {
            let id = match page::project_key(head.proj_id) {
                Ok(id) => id,
                Err(reason) => {
                    page::reject(findings, dataset, "proj_id", reason, record);
                    continue;
                }
            };
            if projects.last().is_none_or(|last| last.id != id) {
                projects.push(Project::new(id));
            }
            if let Some(project) = projects.last_mut() {
                project.take(record, dataset, findings);
            }
        }
        let unfinished = if list.cursor.is_empty() {
            None
        } else {
            projects.pop()
        };
        Ok(Self {
            dataset,
            whole: projects,
            unfinished,
            finished: carry.finished,
        })
    }

    /// The groups of the whole projects. `date_field` names the field with the date of a record.
    pub fn groups(
        &self,
        level: Level,
        date_field: &str,
        findings: &mut Findings,
    ) -> Vec<Group<'json>> {
        let mut groups = Vec::new();
        for project in &self.whole {
            let first = groups.len();
            for record in &project.records {
                if let Err((field, reason)) = add(
                    &mut groups,
                    first,
                    (project, *record),
                    (level, self.dataset, date_field),
                    findings,
                ) {
                    page::reject(findings, self.dataset, field, reason, *record);
                }
            }
        }
        groups
    }

    /// Marks the statement of a project as made. A project that returns with the same date has been split: its second
    /// part would replace the first one. It is rejected, and the answer is `false`.
    pub fn is_first(&mut self, group: &Group<'_>, findings: &mut Findings) -> bool {
        let is_first = self
            .finished
            .insert(hash(&group.key.source_key, group.newest()));
        if let (false, Some((_, record))) = (is_first, group.records.first()) {
            let reason =
                "expected the records of a project side by side, found it again".to_owned();
            page::reject(findings, self.dataset, "proj_id", reason, *record);
        }
        is_first
    }

    /// What the next page of the list needs; `None` on the last page.
    ///
    /// # Errors
    /// The records are no JSON.
    pub fn carry(self) -> Result<Option<String>, Breach> {
        let Some(project) = self.unfinished else {
            return Ok(None);
        };
        let unreadable = |error: serde_json::Error| breach("items", "JSON", &error.to_string());
        let records = project.records.iter();
        let carry = Carry {
            project: project.id,
            records: records
                .map(|record| serde_json::from_str(record.raw()))
                .collect::<Result<_, _>>()
                .map_err(unreadable)?,
            is_too_large: project.is_too_large,
            finished: self.finished,
        };
        serde_json::to_string(&carry).map(Some).map_err(unreadable)
    }
}

/// Adds a record to its group: one of those since `first`, which belong to the same project.
fn add<'json>(
    groups: &mut Vec<Group<'json>>,
    first: usize,
    (project, record): (&Project<'json>, Field<'json>),
    (level, dataset, date_field): (Level, Dataset, &str),
    findings: &mut Findings,
) -> Result<(), (&'static str, String)> {
    let head: Head<'json> = record
        .record()
        .map_err(|reason| ("*", reason))?
        .unwrap_or_default();
    let key = match level {
        Level::Class => page::class_key(head.proj_id, head.fund_class_name)?,
        Level::Project => ClassKey {
            source_key: project.id.clone(),
            fund_code: None,
        },
    };
    let date = if date_field == "as_of_date" {
        head.as_of_date
    } else {
        head.start_date
    };
    let date = findings.as_of(dataset, date_field, date.date(), record.raw());
    let known = groups.iter_mut().skip(first).find(|group| group.key == key);
    match known {
        Some(group) => group.records.push((date, record)),
        None => groups.push(Group {
            key,
            records: vec![(date, record)],
        }),
    }
    Ok(())
}

/// Must not change: it is stored with the position in a list.
fn hash(project: &str, date: Option<Date>) -> u64 {
    let date = date.map_or_else(String::new, |date| date.to_string());
    let digest = Sha256::digest(format!("{project} {date}"));
    let first = digest.iter().take(8);
    first.fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}
