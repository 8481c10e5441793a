//! Which file of a package takes which names from which other file, through whatever modules export them again.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{Kind, Token};
use super::paths::{Import, imports, named};
use super::repository::SourceFile;

/// Words that name what follows them.
const DEFINING: &[&str] = &["struct", "enum", "union", "trait", "type", "fn", "const", "static"];

/// Nobody writes longer paths.
const LONGEST: usize = 16;

/// The path of a module from the root of its package; empty for the root itself.
type Module = Vec<String>;

/// From file to file: the names taken.
pub type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// The modules of one package.
pub struct Package {
    modules: BTreeMap<Module, File>,
}

struct File {
    path: String,
    /// What is defined at its top level.
    items: BTreeSet<String>,
    imports: Vec<Import>,
    /// The paths of its code that are no imports.
    named: Vec<Vec<String>>,
}

/// Where a path leads to.
enum Target {
    Module(Module),
    /// Something that this module defines.
    Item(Module),
}

impl Package {
    /// Reads the package whose sources are in `root`, such as `planner/src`.
    pub fn read(root: &str, files: &[SourceFile]) -> Self {
        let has_lib = files.iter().any(|file| file.path == format!("{root}/lib.rs"));
        let mut modules = BTreeMap::new();
        for file in files.iter().filter(|file| !file.is_test()) {
            let Some(inside) = file.path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')) else { continue };
            let mut module: Module = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            match module.last().map(String::as_str) {
                // A program beside its library is a package of its own.
                Some("main") if has_lib && module.len() == 1 => continue,
                Some("mod") => drop(module.pop()),
                Some("lib" | "main") if module.len() == 1 => drop(module.pop()),
                _ => {}
            }
            modules.insert(module, File::read(file));
        }
        Self { modules }
    }

    /// The files by room: a folder of the root with the file that stands for it, or the root's own files.
    pub fn rooms(&self) -> BTreeMap<String, Vec<String>> {
        let folders: BTreeSet<&String> = self.modules.keys().filter(|one| one.len() > 1).map(|one| &one[0]).collect();
        let mut rooms: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (module, file) in &self.modules {
            let folder = module.first().filter(|first| folders.contains(first)).map(String::as_str);
            rooms.entry(folder.unwrap_or_default().to_owned()).or_default().push(file.path.clone());
        }
        rooms
    }

    /// Who takes what from whom.
    pub fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (module, file) in &self.modules {
            let heads: BTreeSet<&String> = file.named.iter().map(|path| &path[0]).collect();
            // To export something again is not to use it.
            let is_used = |import: &&Import| !import.is_public || heads.contains(&import.name);
            let imported = file.imports.iter().filter(is_used).map(|import| &import.path.segments);
            for path in imported.chain(file.named.iter().filter(|path| path.len() > 1)) {
                let target = self.resolve(module, path, &mut BTreeSet::new());
                if let Some(Target::Item(from)) =
                    target.filter(|target| !matches!(target, Target::Item(m) if m == module))
                {
                    let edge = (file.path.clone(), self.modules[&from].path.clone());
                    edges.entry(edge).or_default().extend(path.last().cloned());
                }
            }
        }
        edges
    }

    /// Where a path in a module leads to; nothing if it leaves the package.
    fn resolve(&self, from: &Module, path: &[String], seen: &mut BTreeSet<(Module, Vec<String>)>) -> Option<Target> {
        let mut module = from.clone();
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                _ => break,
            }
            rest = others;
        }
        self.walk(module, rest, seen)
    }

    /// The same, from a module downwards.
    fn walk(&self, from: Module, path: &[String], seen: &mut BTreeSet<(Module, Vec<String>)>) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module(from)) };
        // A name that stands for a path with itself in front leads nowhere, ever longer.
        if path.len() > LONGEST || !seen.insert((from.clone(), path.to_vec())) {
            return None;
        }
        let below: Module = from.iter().chain([first]).cloned().collect();
        if self.modules.contains_key(&below) {
            return self.walk(below, rest, seen);
        }
        let file = self.modules.get(&from)?;
        if first == "*" || file.items.contains(first) {
            return Some(Target::Item(from));
        }
        for import in file.imports.iter().filter(|import| import.name == *first) {
            let whole: Vec<String> = import.path.segments.iter().chain(rest).cloned().collect();
            if let Some(target) = self.resolve(&from, &whole, seen) {
                return Some(target);
            }
        }
        for import in file.imports.iter().filter(|import| import.name == "*") {
            let folder = &import.path.segments[..import.path.segments.len() - 1];
            if let Some(Target::Module(module)) = self.resolve(&from, folder, seen)
                && let Some(target) = self.walk(module, path, seen)
            {
                return Some(target);
            }
        }
        None
    }
}

impl File {
    fn read(file: &SourceFile) -> Self {
        let named = named(&free_words(&file.tokens)).into_iter().map(|path| path.segments).collect();
        Self { path: file.path.clone(), items: items(&file.tokens), imports: imports(&file.tokens), named }
    }
}

/// The code without the names of modules it declares, fields and methods: they look like imported names and are none.
fn free_words(tokens: &[Token]) -> Vec<Token> {
    let is_dot = |at: Option<usize>| at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is_sign('.'));
    let is_bound = |at: usize| {
        let before = at.checked_sub(1);
        let is_declared = before.is_some_and(|before| tokens[before].is_word("mod"));
        // After two dots it is the end of a range.
        let is_member = is_dot(before) && !is_dot(at.checked_sub(2));
        matches!(tokens[at].kind, Kind::Word(_)) && (is_declared || is_member)
    };
    (0..tokens.len()).filter(|at| !is_bound(*at)).map(|at| tokens[at].clone()).collect()
}

/// The names of what is defined outside of all braces.
fn items(tokens: &[Token]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut depth = 0_usize;
    for pair in tokens.windows(2) {
        match &pair[0].kind {
            Kind::Sign('{') => depth += 1,
            Kind::Sign('}') => depth = depth.saturating_sub(1),
            Kind::Word(word) if depth == 0 && DEFINING.contains(&word.as_str()) => {
                if let Kind::Word(name) = &pair[1].kind {
                    found.insert(name.clone());
                }
            }
            _ => {}
        }
    }
    found
}
