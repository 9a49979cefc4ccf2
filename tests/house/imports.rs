//! No file imports from a file that imports from it, directly or through others. A module and its own submodules are
//! exempt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;
use syn::{Attribute, Item, UseTree};

/// A module, by its path below the crate.
type Module = Vec<String>;

/// What a file refers to.
#[derive(Default)]
struct Imports {
    /// Paths of more than one segment, and those of `use` items.
    paths: Vec<Vec<String>>,
    /// The paths of `use` items, by the name that they introduce. They show where a re-export leads.
    names: BTreeMap<String, Vec<String>>,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'file> Visit<'file> for Imports {
    fn visit_item(&mut self, item: &'file Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &[],
        };
        if is_for_tests(attributes) {
            return;
        }
        match item {
            Item::Use(item) => self.add_tree(&mut Vec::new(), &item.tree),
            item => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'file syn::Path) {
        let segments = path.segments.iter();
        let segments: Vec<String> = segments.map(|part| part.ident.to_string()).collect();
        if segments.len() > 1 {
            self.paths.push(segments);
        }
        syn::visit::visit_path(self, path);
    }
}

impl Imports {
    fn add_tree(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(before, &path.tree);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
            UseTree::Name(name) => self.add(before, &name.ident, &name.ident),
            UseTree::Rename(rename) => self.add(before, &rename.ident, &rename.rename),
            UseTree::Glob(_) => self.paths.push(before.clone()),
        }
    }

    fn add(&mut self, before: &[String], item: &syn::Ident, name: &syn::Ident) {
        let mut path = before.to_vec();
        if item != "self" {
            path.push(item.to_string());
        }
        self.names.insert(name.to_string(), path.clone());
        self.paths.push(path);
    }
}

/// The files of a crate, without those of tests.
fn files(folder: &Path, module: &Module, found: &mut BTreeMap<Module, Imports>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        let mut inner = module.clone();
        if path.is_dir() {
            inner.push(name);
            files(&path, &inner, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            if !matches!(name.as_str(), "lib" | "main" | "mod") {
                inner.push(name);
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            let file = syn::parse_file(&text).expect("Rust");
            found.entry(inner).or_default().visit_file(&file);
        }
    }
}

/// The module that has the item at `path`, seen from `module`; `None` if it is in another crate. Re-exports are
/// followed.
fn module_of(
    files: &BTreeMap<Module, Imports>,
    module: &Module,
    path: &[String],
    depth: usize,
) -> Option<Module> {
    let mut full: Module = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.clone(),
        child => {
            let mut inner = module.clone();
            inner.push(child.to_owned());
            if !files.contains_key(&inner) {
                let imported = files[module].names.get(child)?;
                let rest = path[1..].iter();
                let path: Vec<String> = imported.iter().chain(rest).cloned().collect();
                return (depth > 0)
                    .then(|| module_of(files, module, &path, depth - 1))
                    .flatten();
            }
            module.clone()
        }
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(full.pop()),
            part => full.push(part.to_owned()),
        }
    }
    let length = (0..=full.len())
        .rev()
        .find(|length| files.contains_key(&full[..*length]))?;
    let (owner, rest) = full.split_at(length);
    let reexport = rest.first().and_then(|name| files[owner].names.get(name));
    match reexport {
        Some(path) if depth > 0 => module_of(files, &owner.to_vec(), path, depth - 1),
        _ => Some(owner.to_vec()),
    }
}

/// The modules that each module imports from, except its ancestors and descendants.
fn arrows(files: &BTreeMap<Module, Imports>) -> BTreeMap<&Module, BTreeSet<Module>> {
    files
        .iter()
        .map(|(module, imports)| {
            let targets = imports
                .paths
                .iter()
                .filter_map(|path| module_of(files, module, path, 4))
                .filter(|target| !target.starts_with(module) && !module.starts_with(target))
                .collect();
            (module, targets)
        })
        .collect()
}

/// A circle through `start`, if there is one.
fn circle(
    arrows: &BTreeMap<&Module, BTreeSet<Module>>,
    start: &Module,
    way: &mut Vec<Module>,
    seen: &mut BTreeSet<Module>,
) -> bool {
    let here = way.last().unwrap_or(start).clone();
    for next in &arrows[&here] {
        if next == start {
            return true;
        }
        if seen.insert(next.clone()) {
            way.push(next.clone());
            if circle(arrows, start, way, seen) {
                return true;
            }
            way.pop();
        }
    }
    false
}

#[test]
fn no_circle_of_imports() {
    let mut circles = Vec::new();
    for folder in [
        "schema",
        "store",
        "embedded_postgres",
        "sources",
        "actors",
        "simulator",
        "bench",
        ".",
    ] {
        let mut found = BTreeMap::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join("src");
        files(&root, &Vec::new(), &mut found);
        let arrows = arrows(&found);
        let shared = arrows.values().map(BTreeSet::len).sum::<usize>();
        assert!(shared > 10, "{folder}: only {shared} imports were found");
        for start in arrows.keys() {
            let mut way = vec![(*start).clone()];
            if circle(&arrows, start, &mut way, &mut BTreeSet::new()) {
                let way: Vec<String> = way.iter().map(|module| module.join("::")).collect();
                circles.push(format!("{folder}: {}", way.join(" -> ")));
            }
        }
    }
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}
