#include "rpc/error_codec.h"

#include <gtest/gtest.h>

#include "vtrpc.pb.h"

namespace paceline::rpc {
namespace {

TEST(ErrorCodec, MysqlNumbersSurvive) {
  Error missing = Error::FromMysql(1146, "42S02", "Table 'vt_ks.t' doesn't exist");
  EXPECT_EQ(WireText(missing), "Table 'vt_ks.t' doesn't exist (errno 1146) (sqlstate 42S02)");
  Error back = ErrorFromWire(static_cast<int>(missing.code()), WireText(missing));
  EXPECT_EQ(back.mysql_errno(), 1146);
  EXPECT_EQ(back.sqlstate(), "42S02");
  EXPECT_EQ(back.message(), missing.message());
  EXPECT_EQ(back.code(), missing.code());
}

TEST(ErrorCodec, WhatVitessAppendsIsDropped) {
  Error error = ErrorFromWire(
      5, "Unknown column 'x' (errno 1054) (sqlstate 42S22) (CallerID: me): Sql: \"select x\"");
  EXPECT_EQ(error.mysql_errno(), 1054);
  EXPECT_EQ(error.message(), "Unknown column 'x'");
}

TEST(ErrorCodec, TextWithoutNumbersKeepsItsCode) {
  for (int code = 1; code <= 18; ++code) {
    Error error = ErrorFromWire(code, "why (errno x) (sqlstate 42S22");
    EXPECT_EQ(static_cast<int>(error.code()), code);
    EXPECT_EQ(WireText(error), "why (errno x) (sqlstate 42S22");
  }
  EXPECT_EQ(ErrorFromWire(99, "?").code(), Code::kUnknown);
  EXPECT_EQ(ErrorFromWire(17, "not serving (errno 1105) (sqlstate HY000)").code(),
            Code::kClusterEvent);
}

TEST(ErrorCodec, NumberedErrorsCarryTheirErrno) {
  static constexpr ErrorSpec kUnknownColumn{"VT03014", Code::kInvalidArgument, 1054, "42S22", ""};
  Error error(kUnknownColumn, "unknown column 'x'");
  EXPECT_EQ(WireText(error), "VT03014: unknown column 'x' (errno 1054) (sqlstate 42S22)");
  EXPECT_EQ(ErrorFromWire(3, WireText(error)).mysql_errno(), 1054);
}

TEST(ErrorCodec, LongTextsAreCutBeforeTheNumbers) {
  Error error = Error::FromMysql(1064, "42000", std::string(100000, 'x'));
  EXPECT_LE(WireText(error).size(), kErrorTextMax);
  EXPECT_EQ(ErrorFromWire(3, WireText(error)).mysql_errno(), 1064);
}

TEST(ErrorCodec, Proto) {
  vtrpc::RPCError proto;
  ToProto(Error(Code::kReadOnly, "no"), &proto);
  EXPECT_EQ(proto.code(), vtrpc::READ_ONLY);
  EXPECT_EQ(FromProto(proto).code(), Code::kReadOnly);
}

}  // namespace
}  // namespace paceline::rpc
