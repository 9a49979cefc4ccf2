//! Adoption of an older warehouse: drops the users' views on its tables before the columns change, and recreates them
//! unchanged.

use tokio_postgres::Transaction;

use super::super::error::StoreError;
use super::refused;

/// The definition of a view and its properties.
pub(super) struct View {
    name: String,
    definition: String,
    options: Option<String>,
    owner: String,
    grants: Vec<String>,
    comment: Option<String>,
}

/// Views that depend on the tables, sorted so that a view comes after those that it uses.
const DEPENDENT: &str = "
    WITH RECURSIVE dependent (oid, depth) AS (
        SELECT r.ev_class, 1
        FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        WHERE d.refclassid = 'pg_class'::regclass AND r.ev_class <> d.refobjid
          AND d.refobjid IN (SELECT to_regclass('public.' || name) FROM unnest($1::text[]) AS t (name))
        UNION
        SELECT r.ev_class, dependent.depth + 1
        FROM dependent
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = dependent.oid
        JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND r.ev_class <> d.refobjid
    )
    SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind::text, pg_get_viewdef(c.oid),
           array_to_string(c.reloptions, ', '), pg_get_userbyid(c.relowner)::text,
           obj_description(c.oid, 'pg_class'),
           EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
               OR (SELECT count(*) > 1 FROM pg_rewrite r WHERE r.ev_class = c.oid)
               OR EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
               OR EXISTS (SELECT 1 FROM pg_depend f JOIN pg_proc p ON f.classid = 'pg_proc'::regclass AND f.objid = p.oid
                          WHERE f.refclassid = 'pg_class'::regclass AND f.refobjid = c.oid)
    FROM (SELECT oid, max(depth) AS depth FROM dependent GROUP BY oid) d
    JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY d.depth, c.oid";

/// Drops the views. If a view could not be recreated unchanged, returns an error with its name and changes nothing.
pub(super) async fn take_down(
    tx: &Transaction<'_>,
    tables: &[&str],
) -> Result<Vec<View>, StoreError> {
    let mut views = Vec::new();
    let mut difficult = Vec::new();
    for row in tx.query(DEPENDENT, &[&tables]).await? {
        let oid: u32 = row.try_get(0)?;
        let (name, kind): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        if kind != "v" || row.try_get(7)? {
            difficult.push(name);
            continue;
        }
        views.push(View {
            name,
            definition: row.try_get(3)?,
            options: row.try_get(4)?,
            owner: row.try_get(5)?,
            grants: grants(tx, oid).await?,
            comment: row.try_get(6)?,
        });
    }
    if !difficult.is_empty() {
        return Err(StoreError::Adoption(format!(
            "{} cannot be put back as it was (a materialized view, or one with rules, triggers, column grants or functions on it); drop it, start again, and create it anew afterwards",
            difficult.join(", ")
        )));
    }
    for view in views.iter().rev() {
        tx.batch_execute(&format!("DROP VIEW {}", view.name))
            .await
            .map_err(refused(&format!("the view {}", view.name)))?;
    }
    Ok(views)
}

async fn grants(tx: &Transaction<'_>, oid: u32) -> Result<Vec<String>, StoreError> {
    let rows = tx
        .query(
            "SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, format('%I.%I', n.nspname, c.relname),
                        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
             WHERE c.oid = $1 AND a.grantee <> c.relowner",
            &[&oid],
        )
        .await?;
    rows.iter()
        .map(|row| row.try_get(0).map_err(StoreError::from))
        .collect()
}

/// Recreates the views with owner, grants and comment.
pub(super) async fn put_back(tx: &Transaction<'_>, views: &[View]) -> Result<(), StoreError> {
    for view in views {
        let options = match &view.options {
            Some(options) if !options.is_empty() => format!(" WITH ({options})"),
            _ => String::new(),
        };
        let mut statements = vec![
            format!("CREATE VIEW {}{options} AS {}", view.name, view.definition),
            format!(
                "ALTER VIEW {} OWNER TO \"{}\"",
                view.name,
                view.owner.replace('"', "\"\"")
            ),
        ];
        statements.extend(view.grants.iter().cloned());
        if let Some(comment) = &view.comment {
            statements.push(format!(
                "COMMENT ON VIEW {} IS '{}'",
                view.name,
                comment.replace('\'', "''")
            ));
        }
        for statement in statements {
            tx.batch_execute(&statement)
                .await
                .map_err(refused(&format!(
                    "the view {} cannot be put back",
                    view.name
                )))?;
        }
    }
    Ok(())
}
