//! One CEL expression: read once, bounded before it runs.
//!
//! There is no time limit, for a pure crate has no clock: what an expression may cost is worked out from
//! its shape and from the longest list of the object, and one that may cost too much does not run.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Longest expression, in bytes; ample for a screen of clauses.
const BYTES_MAX: usize = 2048;
/// Most brackets and operators: reading and running recurse over both.
const BRACKETS_MAX: usize = 48;
const OPERATORS_MAX: usize = 192;
/// Stack for one bracket, one operator, and the rest; measured without optimisation and rounded up.
const BRACKET_STACK: usize = 384 << 10;
const OPERATOR_STACK: usize = 64 << 10;
const BASE_STACK: usize = 256 << 10;
/// Most loops in each other, and most in all.
const DEPTH_MAX: u32 = 3;
const LOOPS_MAX: usize = 12;
/// Most `+` beside a loop that builds values: each may double what it builds, so at most sixteenfold.
const GROWTH_MAX: usize = 4;
/// Most parts of an expression that one evaluation may visit: some 10 ms.
const COST_MAX: u64 = 1_000_000;

/// What an expression may ask of the object, beside the functions of the language itself.
pub(super) const VARIABLES: [&str; 7] =
    ["self", "object", "metadata", "spec", "status", "data", "conditions"];
/// Functions of ours.
pub(super) const FUNCTIONS: [&str; 17] = [
    "annotation",
    "numOr",
    "is",
    "isNot",
    "unsure",
    "known",
    "why",
    "severity",
    "said",
    "anyIs",
    "anyIsNot",
    "allAre",
    "text",
    "low",
    "num",
    "flag",
    "filled",
];
/// Functions of the language.
const STANDARD: [&str; 18] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "dyn",
    "type",
    "timestamp",
    "duration",
    "min",
    "max",
    "has",
];

/// An expression that may run.
#[derive(Debug)]
pub(super) struct Expression {
    program: cel::Program,
    shape: Shape,
    /// Bytes of stack that running may take.
    stack: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It reads a field that is not there.
    Absent(String),
    /// Anything else.
    Other(String),
}

/// What an expression is made of.
#[derive(Debug, Default)]
struct Shape {
    nodes: u64,
    depth: u32,
    loops: usize,
    pluses: usize,
    builds: bool,
    variables: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Expression {
    /// Reads it, or says what is wrong with it.
    pub(super) fn compile(source: &str) -> Result<Expression, String> {
        if source.len() > BYTES_MAX {
            return Err(format!("the expression is longer than {BYTES_MAX} bytes"));
        }
        if source.trim().is_empty() {
            return Err("the expression is empty; write `true` for always".to_owned());
        }
        let stack = stack_needed(source)?;
        let program = stacker::maybe_grow(stack, stack, || cel::Program::compile(source));
        let program = program.map_err(|error| one_line(&error.to_string()))?;
        let mut shape = Shape::default();
        stacker::maybe_grow(stack, stack, || {
            shape.walk(program.expression(), 0, &mut Vec::new());
        });
        shape.check()?;
        Ok(Expression { program, shape, stack })
    }

    /// Names of [`VARIABLES`] that it reads.
    pub(super) fn reads(&self) -> &BTreeSet<String> {
        &self.shape.variables
    }

    /// Runs it. `widest` is the length of the longest list or map of the object.
    pub(super) fn run(
        &self,
        context: &cel::Context<'_, '_>,
        widest: u64,
    ) -> Result<cel::Value, Failure> {
        let rounds = widest.max(1).saturating_pow(self.shape.depth);
        if self.shape.nodes.saturating_mul(rounds) > COST_MAX {
            let loops = self.shape.depth;
            return Err(Failure::Other(format!(
                "too costly for this object: {loops} loops in each other over up to {widest} entries"
            )));
        }
        let run = || self.program.execute(context);
        stacker::maybe_grow(self.stack, self.stack, run).map_err(|error| {
            if let cel::ExecutionError::NoSuchKey(key) = error {
                Failure::Absent(key.to_string())
            } else {
                Failure::Other(one_line(&error.to_string()))
            }
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stack_needed(source: &str) -> Result<usize, String> {
    let brackets = source.chars().filter(|c| "([{".contains(*c)).count();
    let symbols = source.chars().filter(|c| ".+-*/%?<>=!&|".contains(*c)).count();
    let operators = symbols + source.matches("in").count();
    if brackets > BRACKETS_MAX {
        return Err(format!("the expression has more than {BRACKETS_MAX} brackets"));
    }
    if operators > OPERATORS_MAX {
        return Err(format!("the expression has more than {OPERATORS_MAX} operators"));
    }
    Ok(BASE_STACK + brackets * BRACKET_STACK + operators * OPERATOR_STACK)
}

impl Shape {
    fn check(&self) -> Result<(), String> {
        let mut variables = self.variables.iter();
        if let Some(name) = variables.find(|name| !VARIABLES.contains(&name.as_str())) {
            return Err(format!("`{name}` is unknown; there is {}", VARIABLES.join(", ")));
        }
        let known = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_alphabetic())
                || FUNCTIONS.contains(&name)
                || STANDARD.contains(&name)
        };
        if let Some(name) = self.functions.iter().find(|name| !known(name)) {
            return Err(format!(
                "function `{name}` is unknown; of ours are {}",
                FUNCTIONS.join(", ")
            ));
        }
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} loops in each other"));
        }
        if self.loops > LOOPS_MAX {
            return Err(format!("more than {LOOPS_MAX} loops"));
        }
        if self.builds && self.pluses > GROWTH_MAX {
            return Err(format!(
                "more than {GROWTH_MAX} `+` beside `map`: it may build without end"
            ));
        }
        Ok(())
    }

    /// Counts and collects; `bound` holds the names that loops bind.
    fn walk<'e>(&mut self, expression: &'e IdedExpr, depth: u32, bound: &mut Vec<&'e str>) {
        self.nodes += 1;
        self.depth = self.depth.max(depth);
        match &expression.expr {
            Expr::Call(call) => {
                self.pluses += usize::from(call.func_name == "_+_" && !builds_list(call));
                self.functions.insert(call.func_name.clone());
                for part in call.target.iter().map(AsRef::as_ref).chain(&call.args) {
                    self.walk(part, depth, bound);
                }
            }
            Expr::Comprehension(each) => {
                self.loops += 1;
                self.walk(&each.iter_range, depth, bound);
                let before = bound.len();
                bound.extend([each.iter_var.as_str(), each.accu_var.as_str()]);
                bound.extend(each.iter_var2.as_deref());
                self.builds |= matches!(each.accu_init.expr, Expr::List(_) | Expr::Map(_));
                self.walk(&each.accu_init, depth, bound);
                for part in [&each.loop_cond, &each.loop_step, &each.result] {
                    self.walk(part, depth + 1, bound);
                }
                bound.truncate(before);
            }
            Expr::Ident(name) => {
                if !bound.contains(&name.as_str()) {
                    self.variables.insert(name.clone());
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.walk(e, depth, bound)),
            Expr::Map(map) => map.entries.iter().for_each(|e| self.entry(&e.expr, depth, bound)),
            Expr::Select(select) => self.walk(&select.operand, depth, bound),
            Expr::Struct(made) => {
                made.entries.iter().for_each(|e| self.entry(&e.expr, depth, bound));
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry<'e>(&mut self, entry: &'e EntryExpr, depth: u32, bound: &mut Vec<&'e str>) {
        match entry {
            EntryExpr::StructField(field) => self.walk(&field.value, depth, bound),
            EntryExpr::MapEntry(entry) => {
                self.walk(&entry.key, depth, bound);
                self.walk(&entry.value, depth, bound);
            }
        }
    }
}

/// The `accumulator + [x]` that `map` and `filter` are made of: the language's own, not the author's.
fn builds_list(call: &cel::common::ast::CallExpr) -> bool {
    let accumulator = |e: &IdedExpr| matches!(&e.expr, Expr::Ident(name) if name.starts_with('@'));
    call.args.first().is_some_and(accumulator)
}
