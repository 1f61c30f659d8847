//! What an expression gives, as far as its form alone tells: a label is text, a comparison an answer.
//!
//! Deliberately absent: a type checker. What cannot be told is `Unknown` and shows when it is asked.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// True or false.
    Answer,
    /// Depends on the values.
    Unknown,
    /// Never true or false; what it is instead.
    Else(&'static str),
}

const TEXT: Gives = Gives::Else("a text");
const NUMBER: Gives = Gives::Else("a number");
const LIST: Gives = Gives::Else("a list");
const MAP: Gives = Gives::Else("a map");

/// Looks at one expression. `texts` are the variables whose fields are all text.
pub(super) fn gives(expr: &Expr, texts: &[&str]) -> Gives {
    match expr {
        Expr::Literal(literal) => constant(literal),
        Expr::Ident(name) if texts.contains(&name.as_str()) => MAP,
        Expr::Unspecified | Expr::Ident(_) => Gives::Unknown,
        Expr::Select(SelectExpr { test: true, .. }) => Gives::Answer,
        Expr::Select(SelectExpr { operand, .. }) => field(&operand.expr, texts),
        Expr::List(_) => LIST,
        Expr::Map(_) | Expr::Struct(_) => MAP,
        // `map` and `filter` gather a list, `all` and `exists` an answer.
        Expr::Comprehension(of) => match gives(&of.accu_init.expr, texts) {
            Gives::Else(_) if matches!(of.accu_init.expr, Expr::List(_)) => LIST,
            Gives::Answer | Gives::Unknown | Gives::Else(_) => Gives::Unknown,
        },
        Expr::Call(call) => called(call, texts),
    }
}

fn constant(literal: &LiteralValue) -> Gives {
    match literal {
        LiteralValue::Boolean(_) => Gives::Answer,
        LiteralValue::String(_) | LiteralValue::Bytes(_) => TEXT,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => NUMBER,
        LiteralValue::Null => Gives::Else("nothing"),
    }
}

/// A field or an element of something.
fn field(of: &Expr, texts: &[&str]) -> Gives {
    let named = |name: &String| texts.contains(&name.as_str());
    if matches!(of, Expr::Ident(name) if named(name)) { TEXT } else { Gives::Unknown }
}

fn called(call: &CallExpr, texts: &[&str]) -> Gives {
    let part = |at: usize| call.args.get(at).map_or(Gives::Unknown, |a| gives(&a.expr, texts));
    match call.func_name.as_str() {
        operators::LOGICAL_AND | operators::LOGICAL_OR => match (part(0), part(1)) {
            (Gives::Else(what), _) | (_, Gives::Else(what)) => Gives::Else(what),
            _ => Gives::Answer,
        },
        operators::LOGICAL_NOT => match part(0) {
            Gives::Else(what) => Gives::Else(what),
            Gives::Answer | Gives::Unknown => Gives::Answer,
        },
        operators::CONDITIONAL => match (part(1), part(2)) {
            (Gives::Else(what), _) | (_, Gives::Else(what)) => Gives::Else(what),
            (Gives::Answer, Gives::Answer) => Gives::Answer,
            _ => Gives::Unknown,
        },
        operators::EQUALS
        | operators::NOT_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS
        | operators::IN
        | "startsWith"
        | "endsWith"
        | "contains"
        | "matches"
        | "bool" => Gives::Answer,
        operators::INDEX => call.args.first().map_or(Gives::Unknown, |of| field(&of.expr, texts)),
        operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::NEGATE
        | "size"
        | "int"
        | "uint"
        | "double" => NUMBER,
        operators::ADD => Gives::Else("a sum"),
        "string" => TEXT,
        "duration" | "timestamp" => Gives::Else("a time"),
        _ => Gives::Unknown,
    }
}

/// The names that loops of an expression make for themselves.
pub(super) fn bound(expr: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    collect(expr, &mut names);
    names
}

fn collect(expr: &Expr, names: &mut Vec<String>) {
    let mut each = |parts: &[&IdedExpr]| parts.iter().for_each(|part| collect(&part.expr, names));
    match expr {
        Expr::Comprehension(of) => {
            each(&[&of.iter_range, &of.accu_init, &of.loop_cond, &of.loop_step, &of.result]);
            names.extend([of.iter_var.clone(), of.accu_var.clone()]);
            names.extend(of.iter_var2.clone());
        }
        Expr::Call(call) => {
            each(&call.target.iter().map(AsRef::as_ref).collect::<Vec<_>>());
            each(&call.args.iter().collect::<Vec<_>>());
        }
        Expr::List(list) => each(&list.elements.iter().collect::<Vec<_>>()),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    each(&[&entry.key, &entry.value]);
                }
            }
        }
        Expr::Select(select) => each(&[&select.operand]),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}
