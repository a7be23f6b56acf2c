//! Answers as scripts get them: as the page does, but for times, which are RFC 3339.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::value::Serializer as Plain;
use serde_json::{Error, Map, Value};
use wf_model::Timestamp;

use crate::ApiError;

/// The answer as a script reads it. Times are known by their types, [`Timestamp`] and [`Millis`](crate::views::Millis),
/// so no number is taken for one because of its name.
///
/// # Errors
/// The value has no form in JSON.
pub fn for_tools<T: Serialize + ?Sized>(value: &T) -> Result<Value, ApiError> {
    value.serialize(Tools).map_err(ApiError::failed)
}

/// Makes a [`Value`] as `serde_json` does.
struct Tools;

/// What is being put together; a variant of an enum is wrapped into its name at the end.
struct Items {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

struct Members {
    variant: Option<&'static str>,
    members: Map<String, Value>,
    key: String,
}

fn named(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(name) => Value::Object(Map::from_iter([(name.to_owned(), value)])),
        None => value,
    }
}

impl Items {
    fn new(variant: Option<&'static str>) -> Self {
        Self { variant, items: Vec::new() }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.items.push(value.serialize(Tools)?);
        Ok(())
    }

    fn done(self) -> Value {
        named(self.variant, Value::Array(self.items))
    }
}

impl Members {
    fn new(variant: Option<&'static str>) -> Self {
        Self { variant, members: Map::new(), key: String::new() }
    }

    fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        self.members.insert(key.to_owned(), value.serialize(Tools)?);
        Ok(())
    }

    fn done(self) -> Value {
        named(self.variant, Value::Object(self.members))
    }
}

macro_rules! as_plain_json {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, v: $type) -> Result<Value, Error> {
            Plain.$method(v)
        })*
    };
}

impl Serializer for Tools {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    as_plain_json! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Error> {
        Ok(Value::String(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Value, Error> {
        let plain = value.serialize(self)?;
        Ok(match plain.as_i64() {
            Some(ms) if matches!(name, "Timestamp" | "Millis") => Value::String(Timestamp::from_millis(ms).rfc3339()),
            _ => plain,
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(named(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, Error> {
        Ok(Items::new(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, Error> {
        Ok(Items::new(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, Error> {
        Ok(Items::new(None))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Items, Error> {
        Ok(Items::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, Error> {
        Ok(Members::new(None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, Error> {
        Ok(Members::new(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members, Error> {
        Ok(Members::new(Some(variant)))
    }
}

macro_rules! puts_items {
    ($($kind:ident: $method:ident),* $(,)?) => {
        $(impl $kind for Items {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<Value, Error> {
                Ok(self.done())
            }
        })*
    };
}

puts_items! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! puts_fields {
    ($($kind:ident),*) => {
        $(impl $kind for Members {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.put(key, value)
            }

            fn end(self) -> Result<Value, Error> {
                Ok(self.done())
            }
        })*
    };
}

puts_fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Members {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = match serde_json::to_value(key)? {
            Value::String(s) => s,
            other => other.to_string(),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.put(&key, value)
    }

    fn end(self) -> Result<Value, Error> {
        Ok(self.done())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::views::millis;

    const AT: Timestamp = Timestamp::from_millis(1_771_797_600_000);
    const SAID: &str = "2026-02-22T22:00:00.000Z";

    #[derive(Serialize)]
    #[serde(tag = "state", rename_all = "snake_case")]
    enum State {
        Closed { at: Timestamp },
    }

    #[derive(Serialize)]
    enum Every {
        Unit,
        One(u8),
        Two(u8, Timestamp),
        Named { since: Timestamp },
    }

    #[derive(Serialize)]
    struct Inner {
        lasts_until: Option<crate::views::Millis>,
    }

    #[derive(Serialize)]
    struct Answer {
        due: u32,
        fields: BTreeMap<String, Value>,
        #[serde(flatten)]
        inner: Inner,
        states: Vec<State>,
        every: Vec<Every>,
        pair: (u8, f64),
        none: Option<Timestamp>,
    }

    fn answer() -> Answer {
        Answer {
            due: 3,
            fields: BTreeMap::from([("at".to_owned(), json!(1_771_797_600_000_i64))]),
            inner: Inner { lasts_until: Some(millis(AT)) },
            states: vec![State::Closed { at: AT }],
            every: vec![Every::Unit, Every::One(1), Every::Two(2, AT), Every::Named { since: AT }],
            pair: (1, 0.5),
            none: None,
        }
    }

    #[test]
    fn what_is_a_time_is_said_as_one_and_what_is_only_called_like_one_stays_a_number() {
        assert_eq!(
            for_tools(&answer()).unwrap(),
            json!({
                "due": 3, "fields": { "at": 1_771_797_600_000_i64 }, "lasts_until": SAID,
                "states": [{ "state": "closed", "at": SAID }],
                "every": ["Unit", { "One": 1 }, { "Two": [2, SAID] }, { "Named": { "since": SAID } }],
                "pair": [1, 0.5], "none": null,
            })
        );
    }

    #[test]
    fn but_for_times_an_answer_is_what_the_page_gets() {
        fn without_times(v: Value) -> Value {
            match v {
                Value::String(s) if s == SAID => json!(AT.millis()),
                Value::Array(items) => items.into_iter().map(without_times).collect(),
                Value::Object(map) => map.into_iter().map(|(k, v)| (k, without_times(v))).collect(),
                other => other,
            }
        }
        assert_eq!(without_times(for_tools(&answer()).unwrap()), serde_json::to_value(answer()).unwrap());
    }
}
