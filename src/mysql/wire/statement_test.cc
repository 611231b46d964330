#include "mysql/wire/statement.h"

#include <gtest/gtest.h>

namespace paceline::mysql::wire {
namespace {

std::string Tail(const std::vector<ParameterType>& types) {
  ExecuteCommand command;
  for (const ParameterType& type : types) {
    Parameter parameter;
    parameter.type = type;
    parameter.null = true;
    command.parameters.push_back(parameter);
  }
  return WriteExecuteTail(command, {});
}

constexpr uint8_t kLong = 3, kDouble = 5, kNull = 6, kLongLong = 8, kVarString = 253, kString = 254;

TEST(FitParameterTypes, ComparesKindsAndNotWidths) {
  std::string known;
  EXPECT_TRUE(FitParameterTypes(Tail({{kLong}, {kVarString}}), 2, &known));
  EXPECT_TRUE(FitParameterTypes(Tail({{kLongLong}, {kString}}), 2, &known));
  EXPECT_FALSE(FitParameterTypes(Tail({{kLongLong, true}, {kString}}), 2, &known));
  EXPECT_FALSE(FitParameterTypes(Tail({{kDouble}, {kString}}), 2, &known));
  EXPECT_FALSE(FitParameterTypes(Tail({{kLong}, {kLong}}), 2, &known));
}

TEST(FitParameterTypes, NullFitsAllAndSaysNothing) {
  std::string known;
  EXPECT_TRUE(FitParameterTypes(Tail({{kNull}}), 1, &known));
  EXPECT_TRUE(FitParameterTypes(Tail({{kVarString}}), 1, &known));
  EXPECT_TRUE(FitParameterTypes(Tail({{kNull}}), 1, &known));
  EXPECT_FALSE(FitParameterTypes(Tail({{kDouble}}), 1, &known));
}

TEST(FitParameterTypes, CutTailsAreNoHarm) {
  std::string tail = Tail({{kLong}, {kDouble}, {kString}});
  for (size_t size = 0; size < tail.size(); ++size) {
    std::string known;
    EXPECT_TRUE(FitParameterTypes(std::string_view(tail).substr(0, size), 3, &known));
  }
}

}  // namespace
}  // namespace paceline::mysql::wire
