// vtctld/json.h - messages as JSON as vtctldclient prints them: names of the .proto file in their
// order, every field (unset messages null), enums by name, 64-bit numbers as strings, two spaces of
// indent. Not libprotobuf's printer: that leaves unset messages out, which scripts written for
// Vitess look for.
#pragma once

#include <string>

#include "base/error.h"

namespace google::protobuf {
class Message;
}

namespace paceline::vtctld {

struct JsonStyle {
  bool compact = false;  // unset fields left out
  // Vitess prints lists and maps of messages by Go's printer of structs: unset fields left out,
  // enums and 64-bit numbers as bare numbers.
  bool structs = false;
};
std::string ToJson(const google::protobuf::Message& message, JsonStyle style = {});
// One field of the message alone, for commands that print a list or a map.
std::string FieldToJson(const google::protobuf::Message& message, const std::string& field,
                        JsonStyle style = {});
// Reads snake_case and camelCase. Errors: kInvalidArgument saying what does not fit where.
Status FromJson(const std::string& json, google::protobuf::Message* out);

}  // namespace paceline::vtctld
