//! A yes-or-no question in CEL, safe to take from strangers: bounded in size, nesting and stack.
//!
//! A key that is not there makes the whole expression *no* (never an error and never yes): a typo must not
//! widen what is selected. Use `has(a.b)` to ask for presence.

mod gives;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use gives::{Gives, bound, gives};

/// Longest expression, in bytes; ample for a screen of clauses.
const BYTES_MAX: usize = 4096;

/// Most opening brackets and most operators. Reading and evaluating an expression recurses over both, and
/// a stack that overflows ends the process. Counted in quotes and comments too: so no trick of quoting
/// can hide one.
const BRACKETS_MAX: usize = 64;
const OPERATORS_MAX: usize = 512;

/// Stack for one bracket, one operator, and the rest; measured without optimisation (below 256 KiB and
/// 40 KiB) and rounded up.
const BRACKET_STACK: usize = 384 << 10;
const OPERATOR_STACK: usize = 64 << 10;
const BASE_STACK: usize = 256 << 10;

/// The functions of the language: made once, because making them takes longer than most answers.
static LANGUAGE: LazyLock<Arc<cel::Env>> = LazyLock::new(|| Arc::new(cel::Env::stdlib()));

/// A compiled question. Equal when the text is equal.
#[derive(Clone)]
pub struct Expression {
    source: String,
    program: Arc<cel::Program>,
    /// Bytes of stack that evaluating may take.
    stack: usize,
}

impl Expression {
    /// Compiles; refuses a name that is not among `variables` and what can never give true or false, so
    /// that a slip shows before any cluster is asked. `texts` are the variables whose fields are all text.
    ///
    /// Loops (`all`, `exists`) are refused: whoever writes into a repository could make them run for hours.
    pub fn parse(source: &str, variables: &[&str], texts: &[&str]) -> Result<Expression, String> {
        Expression::compile(source, variables)?.asks(texts)
    }

    /// As [`Expression::parse`] for text of the people who run the fleet: loops are allowed.
    pub fn parse_trusted(source: &str, variables: &[&str]) -> Result<Expression, String> {
        Expression::compile_with(source, variables, true)?.asks(&[])
    }

    /// Refuses what can never give true or false.
    fn asks(self, texts: &[&str]) -> Result<Expression, String> {
        let question = self;
        let given = stacker::maybe_grow(question.stack, question.stack, || {
            gives(&question.program.expression().expr, texts)
        });
        match given {
            Gives::Answer | Gives::Unknown => Ok(question),
            Gives::Else(what) => Err(format!("gives {what}, not true or false")),
        }
    }

    /// As [`Expression::parse`], but what it gives is looked at only when it is asked.
    pub(crate) fn compile(source: &str, variables: &[&str]) -> Result<Expression, String> {
        Expression::compile_with(source, variables, false)
    }

    fn compile_with(source: &str, variables: &[&str], loops: bool) -> Result<Expression, String> {
        if source.len() > BYTES_MAX {
            return Err(format!("longer than {BYTES_MAX} bytes"));
        }
        let stack = stack_needed(source)?;
        let program = stacker::maybe_grow(stack, stack, || cel::Program::compile(source));
        let program = program.map_err(|e| e.to_string())?;
        let references = program.references();
        let own = if loops {
            stacker::maybe_grow(stack, stack, || bound(&program.expression().expr))
        } else {
            Vec::new()
        };
        let known = |name: &str| variables.contains(&name) || own.iter().any(|own| own == name);
        let unknown = references.variables().into_iter().find(|v| !known(v));
        if let Some(name) = unknown {
            let list: Vec<_> = variables.iter().map(|v| format!("`{v}.…`")).collect();
            return Err(format!("`{name}` is unknown; use {}", list.join(" or ")));
        }
        Ok(Expression { source: source.to_owned(), program: Arc::new(program), stack })
    }

    /// The text it was made of.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the expression looks at a variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.program.references().has_variable(variable)
    }

    /// The answer for these values. `Err` when it is not a yes-or-no question for them.
    pub fn ask(&self, values: &[(&str, &serde_json::Value)]) -> Result<bool, String> {
        let mut context = cel::Context::with_env(Arc::clone(&LANGUAGE));
        for (name, value) in values {
            let value = cel::to_value(value).map_err(|e| e.to_string())?;
            context.add_variable_from_value(*name, value);
        }
        match stacker::maybe_grow(self.stack, self.stack, || self.program.execute(&context)) {
            Ok(cel::Value::Bool(yes)) => Ok(yes),
            Ok(other) => Err(format!("gives {:?}, not true or false", other.type_of())),
            Err(cel::ExecutionError::NoSuchKey(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Bytes of stack that an expression may take, or why it is refused.
fn stack_needed(source: &str) -> Result<usize, String> {
    let brackets = source.chars().filter(|c| "([{".contains(*c)).count();
    let symbols = source.chars().filter(|c| ".+-*/%?<>=!&|".contains(*c)).count();
    let operators = symbols + source.matches("in").count();
    if brackets > BRACKETS_MAX {
        return Err(format!(
            "more than {BRACKETS_MAX} brackets; give the clusters a label of their own"
        ));
    }
    if operators > OPERATORS_MAX {
        return Err(format!(
            "more than {OPERATORS_MAX} operators; give the clusters a label of their own"
        ));
    }
    Ok(BASE_STACK + brackets * BRACKET_STACK + operators * OPERATOR_STACK)
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
