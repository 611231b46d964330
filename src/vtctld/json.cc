#include "vtctld/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/base64.h"
#include "base/check.h"

namespace paceline::vtctld {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        byte < 0x20 ? out += fmt::format("\\u{:04x}", byte) : out += c;
    }
  }
  return out + "\"";
}

std::string Real(double value) {
  if (std::isnan(value)) return "\"NaN\"";
  if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  return fmt::format("{}", value == std::floor(value) && std::abs(value) < 1e15
                               ? fmt::format("{:.0f}", value)
                               : fmt::format("{}", value));
}

class Printer {
 public:
  explicit Printer(JsonStyle style) : style_(style) {}

  void Print(const Message& message) {
    const Reflection& reflection = *message.GetReflection();
    Open('{');
    bool first = true;
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor& field = *message.GetDescriptor()->field(i);
      if (!Shown(message, reflection, field)) continue;
      Next(first);
      out_ += Quote(field.name()) + ": ";
      PrintField(message, reflection, field);
    }
    Close('}', first);
  }
  void PrintNamed(const Message& message, const FieldDescriptor& field) {
    PrintField(message, *message.GetReflection(), field);
  }
  std::string Take() { return std::move(out_); }

 private:
  bool Shown(const Message& message, const Reflection& reflection,
             const FieldDescriptor& field) const {
    bool set = field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                                   : reflection.HasField(message, &field);
    if (set) return true;
    return !style_.compact && !style_.structs && field.containing_oneof() == nullptr;
  }
  void PrintField(const Message& message, const Reflection& reflection,
                  const FieldDescriptor& field) {
    if (field.is_map()) return PrintMap(message, reflection, field);
    if (!field.is_repeated()) {
      bool unset = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                   !reflection.HasField(message, &field);
      if (unset) {
        out_ += "null";
        return;
      }
      return PrintValue(message, reflection, field, -1);
    }
    Open('[');
    bool first = true;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      Next(first);
      PrintValue(message, reflection, field, i);
    }
    Close(']', first);
  }
  void PrintMap(const Message& message, const Reflection& reflection,
                const FieldDescriptor& field) {
    std::vector<const Message*> entries;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      entries.push_back(&reflection.GetRepeatedMessage(message, &field, i));
    }
    const FieldDescriptor& key = *field.message_type()->map_key();
    const FieldDescriptor& value = *field.message_type()->map_value();
    auto name = [&](const Message* entry) {
      Printer plain(style_);
      plain.PrintValue(*entry, *entry->GetReflection(), key, -1);
      std::string text = plain.Take();
      return text.starts_with('"') ? text : "\"" + text + "\"";
    };
    std::ranges::sort(entries, {}, name);
    Open('{');
    bool first = true;
    for (const Message* entry : entries) {
      Next(first);
      out_ += name(entry) + ": ";
      PrintValue(*entry, *entry->GetReflection(), value, -1);
    }
    Close('}', first);
  }
  // `index` -1: a single field.
  void PrintValue(const Message& m, const Reflection& r, const FieldDescriptor& f, int index) {
    bool one = index < 0;
    switch (f.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        out_ += std::to_string(one ? r.GetInt32(m, &f) : r.GetRepeatedInt32(m, &f, index));
        return;
      case FieldDescriptor::CPPTYPE_UINT32:
        out_ += std::to_string(one ? r.GetUInt32(m, &f) : r.GetRepeatedUInt32(m, &f, index));
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        Long(one ? r.GetInt64(m, &f) : r.GetRepeatedInt64(m, &f, index));
        return;
      case FieldDescriptor::CPPTYPE_UINT64:
        Long(one ? r.GetUInt64(m, &f) : r.GetRepeatedUInt64(m, &f, index));
        return;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        out_ += Real(one ? r.GetDouble(m, &f) : r.GetRepeatedDouble(m, &f, index));
        return;
      case FieldDescriptor::CPPTYPE_FLOAT:
        out_ +=
            Real(static_cast<double>(one ? r.GetFloat(m, &f) : r.GetRepeatedFloat(m, &f, index)));
        return;
      case FieldDescriptor::CPPTYPE_BOOL:
        out_ += (one ? r.GetBool(m, &f) : r.GetRepeatedBool(m, &f, index)) ? "true" : "false";
        return;
      case FieldDescriptor::CPPTYPE_ENUM: {
        int number = one ? r.GetEnumValue(m, &f) : r.GetRepeatedEnumValue(m, &f, index);
        const auto* value = f.enum_type()->FindValueByNumber(number);
        bool named = value != nullptr && !style_.structs;
        out_ += named ? Quote(value->name()) : std::to_string(number);
        return;
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string text = one ? r.GetString(m, &f) : r.GetRepeatedString(m, &f, index);
        out_ += f.type() == FieldDescriptor::TYPE_BYTES ? "\"" + Base64Encode(text) + "\""
                                                        : Quote(text);
        return;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        Print(one ? r.GetMessage(m, &f) : r.GetRepeatedMessage(m, &f, index));
        return;
    }
  }
  void Long(auto number) {
    out_ += fmt::format(fmt::runtime(style_.structs ? "{}" : "\"{}\""), number);
  }
  void Open(char c) {
    out_ += c;
    ++level_;
  }
  void Next(bool& first) {
    out_ += first ? "\n" : ",\n";
    out_.append(static_cast<size_t>(level_) * 2, ' ');
    first = false;
  }
  void Close(char c, bool empty) {
    --level_;
    if (!empty) {
      out_ += '\n';
      out_.append(static_cast<size_t>(level_) * 2, ' ');
    }
    out_ += c;
  }

  JsonStyle style_;
  int level_ = 0;
  std::string out_;
};

}  // namespace

std::string ToJson(const Message& message, JsonStyle style) {
  Printer printer(style);
  printer.Print(message);
  return printer.Take();
}

std::string FieldToJson(const Message& message, const std::string& field, JsonStyle style) {
  const FieldDescriptor* descriptor = message.GetDescriptor()->FindFieldByName(field);
  CHECK(descriptor != nullptr);
  Printer printer(style);
  printer.PrintNamed(message, *descriptor);
  return printer.Take();
}

Status FromJson(const std::string& json, Message* out) {
  auto status = google::protobuf::util::JsonStringToMessage(json, out);
  if (status.ok()) return {};
  std::string why(status.message());  // the place is pointed at below its text, on lines of its own
  std::string_view first = std::string_view(why).substr(0, why.find('\n'));
  return Fail(Code::kInvalidArgument, "this JSON is no {}: {}: {}",
              out->GetDescriptor()->full_name(), first, json);
}

}  // namespace paceline::vtctld
