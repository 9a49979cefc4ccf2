//! The list of the database migrations, with the SQL of each.

/// One step from a schema version to the next. A migration is never changed after its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The schema version after the migration.
    pub version: i32,
    /// The name, as in the name of the SQL file.
    pub name: &'static str,
    /// The SQL statements.
    pub sql: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/V", $version, "__", $name, ".sql")),
        }
    };
}

/// All migrations, in ascending order of version.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "warehouse"),
    migration!(2, "news"),
    migration!(3, "room_for_acknowledgements"),
    migration!(4, "beginning_of_a_history"),
    migration!(5, "doubt"),
    migration!(6, "age_and_reach"),
    migration!(7, "requests"),
    migration!(8, "refused_by"),
    migration!(9, "observations_by_cycle"),
    migration!(10, "provisional_universe"),
    migration!(11, "register"),
    migration!(12, "dividends_and_performance"),
    migration!(13, "fund_lineage"),
    migration!(14, "publication"),
    migration!(15, "precedence"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_is_listed_once_and_the_versions_have_no_gap() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder of migrations")
            .map(|entry| {
                let name = entry.expect("an entry").file_name();
                name.to_string_lossy().into_owned()
            })
            .collect();
        let listed = MIGRATIONS
            .iter()
            .map(|migration| format!("V{}__{}.sql", migration.version, migration.name));
        assert_eq!(listed.collect::<BTreeSet<String>>(), files);
        let versions: Vec<i32> = MIGRATIONS
            .iter()
            .map(|migration| migration.version)
            .collect();
        let count = i32::try_from(versions.len()).expect("few");
        assert_eq!(versions, (1..=count).collect::<Vec<i32>>());
    }
}
