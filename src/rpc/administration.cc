#include "rpc/administration.h"

#include <google/protobuf/message.h>

#include <algorithm>

#include "access/commands.h"
#include "vtctldata.pb.h"

namespace paceline::rpc {
namespace {

using google::protobuf::FieldDescriptor;

bool NamesATarget(std::string_view field) {
  static constexpr std::string_view kFields[] = {
      "keyspace",      "shard",      "cell",    "name",          "backup_name",
      "tablet_alias",  "tablet",     "uid",     "new_primary",   "primary",
      "keyspace_name", "shard_name", "db_type", "tablet_aliases"};
  return std::ranges::find(kFields, field) != std::end(kFields);
}

std::string TargetOf(const google::protobuf::Message& message, int depth) {
  std::string target;
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!NamesATarget(field->name())) continue;
    std::string value;
    if (field->is_repeated()) {
      value = fmt::format("{} of them", reflection->FieldSize(message, field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      value = reflection->GetString(message, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      value = std::to_string(reflection->GetUInt32(message, field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      value = reflection->GetEnum(message, field)->name();
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && depth < 2) {
      value = TargetOf(reflection->GetMessage(message, field), depth + 1);
    }
    if (!value.empty())
      target += fmt::format("{}{}={}", target.empty() ? "" : " ", field->name(), value);
  }
  return target;
}

}  // namespace

access::Request DescribeAdministration(const std::string& path,
                                       const google::protobuf::MessageLite& request) {
  access::Request asked;
  asked.action = path.substr(path.rfind('/') + 1);
  if (const auto* old = dynamic_cast<const vtctldata::ExecuteVtctlCommandRequest*>(&request)) {
    std::vector<std::string_view> words(old->args().begin(), old->args().end());
    const std::string_view command = access::CommandOfWords(words);
    if (!command.empty()) asked.action = command;
    asked.needs = access::RoleOfCommand(command);
    // The first word behind the command that is no flag: what it is about, by custom.
    bool behind = false;
    for (std::string_view word : words) {
      if (behind && !word.starts_with('-')) {
        if (word.find_first_of(" =:'\"") == std::string_view::npos) asked.target = word;
        break;
      }
      behind = behind || word == command;
    }
    return asked;
  }
  asked.needs = access::RoleOfCommand(asked.action);
  if (const auto* message = dynamic_cast<const google::protobuf::Message*>(&request))
    asked.target = TargetOf(*message, 0);
  return asked;
}

}  // namespace paceline::rpc
