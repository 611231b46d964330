// One entry over every parser of untrusted bytes, in the form fuzzers want, run here on mutations
// of good packets.
#include <gtest/gtest.h>

#include <memory>

#include "base/rng.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/column.h"
#include "mysql/wire/handshake_packets.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/result_scanner.h"
#include "mysql/wire/rows.h"
#include "mysql/wire/session_state.h"
#include "mysql/wire/statement.h"

namespace paceline::mysql::wire {
namespace {

// The first byte picks the parser, the second its options.
int FuzzOne(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const uint8_t options = data[1];
  // A block of the exact size, so that ASan sees any read beyond it.
  auto block = std::make_unique<char[]>(size - 2);
  std::copy(data + 2, data + size, block.get());
  std::string_view bytes(block.get(), size - 2);
  Capabilities capabilities = options & 1 ? kServerCapabilities : 0;
  switch (data[0] % 9) {
    case 0: {
      Terminator t;
      if (ParseTerminator(bytes, capabilities, &t)) {
        std::string out;
        uint8_t sequence = 0;
        AppendTerminator(&out, t, capabilities, &sequence);
        RenameSchemaInSessionState(t.session_state, "ks", "vt_ks");
      }
      break;
    }
    case 1:
      ParseSessionState(bytes);
      break;
    case 2: {
      ColumnDefinition column;
      ParseColumnDefinition(bytes, &column);
      std::string out;
      RenameSchemaInColumns(bytes, "ks", "other", &out);
      (void)ParseColumns(bytes);
      break;
    }
    case 3: {
      Result<QueryCommand> query = ParseQuery(bytes, capabilities);
      if (query) {
        for (const Parameter& parameter : query->attributes) (void)ToValue(parameter);
      }
      break;
    }
    case 4: {
      std::vector<ParameterType> types(options / 4 % 8, {static_cast<uint8_t>(options), true});
      Result<ExecuteCommand> execute =
          ParseExecute(bytes, options / 4 % 8, types, {options % 2 == 0}, capabilities);
      if (execute) {
        for (const Parameter& parameter : execute->parameters) (void)ToValue(parameter);
        WriteExecuteTail(*execute, {"long"});
      }
      break;
    }
    case 5: {
      Greeting greeting;
      ParseGreeting(bytes, &greeting);
      AuthSwitch request;
      ParseAuthSwitch(bytes, &request);
      break;
    }
    case 6: {
      Login login;
      ParseLogin(bytes, &login);
      Login change;
      ParseChangeUser(bytes, capabilities, &change);
      break;
    }
    case 7: {
      std::vector<std::optional<std::string_view>> values;
      ParseTextRow(bytes, options % 8, &values);
      break;
    }
    case 8: {
      ResultScanner scanner;
      scanner.Start(static_cast<ResponseKind>(options % 6), 1, options & 64);
      while (!bytes.empty()) {
        ScanStep step = scanner.Scan(AsBytes(bytes));
        if (step.consumed == 0) break;
        bytes.remove_prefix(step.consumed);
      }
      break;
    }
  }
  return 0;
}

std::vector<std::string> Corpus() {
  std::vector<std::string> corpus;
  Terminator ok;
  ok.info = "Rows matched: 1";
  AppendSessionState(&ok.session_state, {SessionStateType::kSchema, "", "ks"});
  AppendSessionState(&ok.session_state, {SessionStateType::kGtids, "", "uuid:1-5"});
  std::string packet;
  uint8_t sequence = 1;
  AppendTerminator(&packet, ok, kServerCapabilities, &sequence);
  corpus.push_back(packet.substr(4));
  corpus.push_back(ok.session_state);
  ColumnDefinition column;
  column.schema = "ks";
  column.name = "id";
  packet.clear();
  sequence = 1;
  AppendColumns(&packet, {column, column}, &sequence);
  AppendTextRow(&packet, {"1", std::nullopt}, &sequence);
  AppendTerminator(&packet, ok, kServerCapabilities, &sequence);
  corpus.push_back(packet);
  corpus.push_back(
      std::string("\x03\x01\x01\x00\x01\xfd\x00\x05trace\x03"
                  "abcSELECT 3",
                  25));
  ExecuteCommand execute;
  execute.parameters.resize(3);
  for (Parameter& parameter : execute.parameters) parameter.type.type = 252;
  corpus.push_back(WriteExecute(1, WriteExecuteTail(execute, {})));
  Greeting greeting;
  greeting.server_version = "9.7.0";
  greeting.salt = std::string(20, 's');
  greeting.capabilities = kServerCapabilities;
  greeting.plugin = "caching_sha2_password";
  corpus.push_back(WriteGreeting(greeting));
  Login login;
  login.capabilities = kServerCapabilities;
  login.user = "app";
  login.auth_response = std::string(32, 'r');
  login.attributes = {{"a", "b"}};
  corpus.push_back(WriteLogin(login));
  corpus.push_back(WriteChangeUser(login));
  return corpus;
}

TEST(Fuzz, MutationsOfGoodPacketsDoNoHarm) {
  const std::vector<std::string> corpus = Corpus();
  SeededRng rng(5);
  for (int round = 0; round < 100'000; ++round) {
    std::string input = {static_cast<char>(rng.Next()), static_cast<char>(rng.Next())};
    input += corpus[rng.Below(corpus.size())];
    for (uint64_t i = 0, n = rng.Below(5); i < n; ++i)
      input[rng.Below(input.size())] = static_cast<char>(rng.Next());
    input.resize(rng.Below(8) == 0 ? rng.Below(input.size()) : input.size());
    FuzzOne(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
}

}  // namespace
}  // namespace paceline::mysql::wire
