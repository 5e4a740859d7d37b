//! Search by a part of a name.

use sea_orm::Condition;
use sea_orm::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr};

use crate::domain::fold_case;

/// The rows whose column, which holds names with their case folded, holds this text, ignoring case.
/// Every character stands for itself.
pub(super) fn contains(column: impl ColumnTrait, text: &str) -> Condition {
    // No name holds a NUL, but some engines would end the text there, and others refuse it.
    if text.contains('\0') {
        return none();
    }
    let pattern = format!("%{}%", escape_like(&fold_case(text)));
    Condition::all().add(column.like(LikeExpr::new(pattern).escape('\\')))
}

/// No row.
pub(super) fn none() -> Condition {
    Condition::all().add(Expr::val(1).eq(0))
}

/// Makes every character of a pattern stand for itself.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
