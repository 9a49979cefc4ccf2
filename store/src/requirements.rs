//! Checks that the database has the encoding and the rights that the runner needs. Each error names the statement that
//! fixes it (O9).

use tokio_postgres::Client;

use super::error::StoreError;
use super::{TABLES, migration};

/// The properties of the database for the current role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    database: String,
    role: String,
    encoding: String,
    schema_version: i32,
    /// Whether a migration is needed.
    migrates: bool,
    may_create_schemas: bool,
    /// Whether the schemas `runner` and `history` exist.
    has_own_schemas: bool,
    has_public: bool,
    may_use_public: bool,
    may_create_in_public: bool,
    /// Schemas of the runner that the role may not use.
    unusable_schemas: Vec<String>,
    /// Tables whose owner's rights the role does not have, with the owner.
    owned_by_others: Vec<(String, String)>,
    /// Tables that the role may not read and write.
    closed_tables: Vec<String>,
}

/// Quotes a name for SQL if necessary.
fn quoted(name: &str) -> String {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain && name != "user" {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Returns why the database cannot be used, with the statements that fix it; `None` if it can.
fn unfit(facts: &Facts) -> Option<String> {
    if facts.encoding != "UTF8" {
        return Some(format!(
            "the database {} has the encoding {}, expected UTF8: it cannot hold Thai text; next: create another database with `CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0` and name it in the database setting",
            quoted(&facts.database),
            facts.encoding,
            quoted(&format!("{}_utf8", facts.database)),
        ));
    }
    let lines = missing_rights(facts);
    if lines.is_empty() {
        return None;
    }
    Some(format!(
        "the role {} lacks rights in the database {}; next: run as its owner or a superuser: {}",
        quoted(&facts.role),
        quoted(&facts.database),
        lines.join(" ")
    ))
}

/// Returns the statements that grant the missing rights.
fn missing_rights(facts: &Facts) -> Vec<String> {
    let (role, database) = (quoted(&facts.role), quoted(&facts.database));
    let mut lines = Vec::new();
    if !facts.has_own_schemas && !facts.may_create_schemas {
        lines.push(format!("GRANT CREATE ON DATABASE {database} TO {role};"));
    }
    if !facts.has_public {
        lines.push(format!("CREATE SCHEMA public AUTHORIZATION {role};"));
    } else if facts.schema_version == 0 && !facts.may_create_in_public {
        lines.push(format!("GRANT USAGE, CREATE ON SCHEMA public TO {role};"));
    } else if !facts.may_use_public {
        lines.push(format!("GRANT USAGE ON SCHEMA public TO {role};"));
    }
    for schema in &facts.unusable_schemas {
        lines.push(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};"));
    }
    if facts.migrates {
        let mut owners: Vec<&str> = facts
            .owned_by_others
            .iter()
            .map(|(_, owner)| owner.as_str())
            .collect();
        owners.sort_unstable();
        owners.dedup();
        // Only the owner of a table can change it.
        lines.extend(
            owners
                .iter()
                .map(|owner| format!("GRANT {} TO {role};", quoted(owner))),
        );
    } else if !facts.closed_tables.is_empty() {
        lines.push(format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {role};",
            facts.closed_tables.join(", ")
        ));
    }
    lines
}

/// Refuses a database that the runner cannot use.
pub(super) async fn check(client: &Client) -> Result<(), StoreError> {
    match unfit(&read(client).await?) {
        Some(why) => Err(StoreError::Unfit(why)),
        None => Ok(()),
    }
}

async fn read(client: &Client) -> Result<Facts, StoreError> {
    let row = client
        .query_one(
            "SELECT d.datname::text, current_user::text, pg_encoding_to_char(d.encoding)::text,
                    has_database_privilege(d.oid, 'CREATE'),
                    to_regnamespace('runner') IS NOT NULL AND to_regnamespace('history') IS NOT NULL,
                    to_regnamespace('public') IS NOT NULL,
                    COALESCE(has_schema_privilege(to_regnamespace('public'), 'USAGE'), false),
                    COALESCE(has_schema_privilege(to_regnamespace('public'), 'USAGE, CREATE')
                        AND has_schema_privilege(to_regnamespace('public'), 'CREATE'), false),
                    ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname IN ('runner', 'history')
                          AND NOT has_schema_privilege(oid, 'USAGE') ORDER BY 1),
                    EXISTS (SELECT FROM pg_class WHERE relname = 'schema_version' AND relnamespace = to_regnamespace('runner')
                          AND NOT has_table_privilege(oid, 'SELECT'))
             FROM pg_database d WHERE d.datname = current_database()",
            &[],
        )
        .await?;
    let tables = client
        .query(
            "SELECT n.nspname || '.' || c.relname, pg_get_userbyid(c.relowner)::text,
                    pg_has_role(c.relowner, 'USAGE'),
                    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p')
               AND (n.nspname IN ('runner', 'history') OR n.nspname = 'public' AND c.relname = ANY($1))
             ORDER BY 1",
            &[&TABLES.as_slice()],
        )
        .await?;
    let unusable_schemas: Vec<String> = row.try_get(8)?;
    let hidden = !unusable_schemas.is_empty() || row.try_get(9)?;
    // If the role may not read the version, the database already has a warehouse.
    let schema_version = if hidden {
        1
    } else {
        migration::current(client).await?
    };
    let mut facts = Facts {
        database: row.try_get(0)?,
        role: row.try_get(1)?,
        encoding: row.try_get(2)?,
        schema_version,
        migrates: !hidden && !migration::is_current(schema_version),
        may_create_schemas: row.try_get(3)?,
        has_own_schemas: row.try_get(4)?,
        has_public: row.try_get(5)?,
        may_use_public: row.try_get(6)?,
        may_create_in_public: row.try_get(7)?,
        unusable_schemas,
        ..Facts::default()
    };
    for row in tables {
        let name: String = row.try_get(0)?;
        if !row.try_get::<_, bool>(2)? {
            facts.owned_by_others.push((name.clone(), row.try_get(1)?));
        }
        if !row.try_get::<_, bool>(3)? {
            facts.closed_tables.push(name);
        }
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Facts {
        Facts {
            database: "funds_db".to_owned(),
            role: "runner".to_owned(),
            encoding: "UTF8".to_owned(),
            may_create_schemas: true,
            has_public: true,
            may_use_public: true,
            may_create_in_public: true,
            migrates: true,
            ..Facts::default()
        }
    }

    /// O9: each missing right is reported with the statement that grants it.
    #[test]
    fn each_missing_right_is_named_with_its_grant() {
        type Change = fn(&mut Facts);
        let cases: [(Change, &str); 8] = [
            (
                |f| f.encoding = "LATIN1".into(),
                "CREATE DATABASE funds_db_utf8 ENCODING 'UTF8' TEMPLATE template0",
            ),
            (
                |f| f.encoding = "SQL_ASCII".into(),
                "has the encoding SQL_ASCII, expected UTF8",
            ),
            (
                |f| f.may_create_schemas = false,
                "GRANT CREATE ON DATABASE funds_db TO runner;",
            ),
            (
                |f| {
                    f.may_create_schemas = false;
                    f.role = "Fund Runner".into();
                },
                "GRANT CREATE ON DATABASE funds_db TO \"Fund Runner\";",
            ),
            (
                |f| f.may_create_in_public = false,
                "GRANT USAGE, CREATE ON SCHEMA public TO runner;",
            ),
            (
                |f| f.has_public = false,
                "CREATE SCHEMA public AUTHORIZATION runner;",
            ),
            (
                |f| f.owned_by_others = vec![("public.funds_fee".into(), "postgres".into())],
                "GRANT postgres TO runner;",
            ),
            (
                |f| {
                    f.migrates = false;
                    f.closed_tables = vec!["public.funds_fee".into(), "runner.task".into()];
                },
                "GRANT SELECT, INSERT, UPDATE, DELETE ON public.funds_fee, runner.task TO runner;",
            ),
        ];
        assert_eq!(unfit(&sound()), None);
        for (change, expected) in cases {
            let mut facts = sound();
            change(&mut facts);
            let found = unfit(&facts).unwrap_or_default();
            assert!(found.contains(expected), "{expected}\n{found}");
        }
    }
}
