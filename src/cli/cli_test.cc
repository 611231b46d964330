// The clients around the commands: global flags, help, completion, and what goes over the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/client.h"
#include "io/blocking.h"
#include "vtctldata.pb.h"

namespace paceline::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Globals, StandAnywhere) {
  std::vector<std::string> words = {
      "--server", "localhost:15999", "--json",          "GetTablets", "--action_timeout=5s",
      "-k",       "commerce",        "-server=other:1", "--",         "--server"};
  Result<Globals> globals = TakeGlobals(&words);
  ASSERT_TRUE(globals);
  EXPECT_EQ(globals->server, "other:1");
  EXPECT_EQ(globals->action_timeout, 5s);
  EXPECT_TRUE(globals->json);
  EXPECT_THAT(words, ElementsAre("GetTablets", "-k", "commerce", "--", "--server"));
}

TEST(Globals, WrongOnesAreNamed) {
  std::vector<std::string> words = {"--sever", "x", "GetTablets"};
  EXPECT_THAT(TakeGlobals(&words).error().message(), HasSubstr("--sever"));
  words = {"GetTablets", "--server"};
  EXPECT_THAT(TakeGlobals(&words).error().message(), HasSubstr("needs a value"));
}

TEST(Help, ListsGroupsAndWhatComesLater) {
  std::string list = CommandList();
  EXPECT_THAT(list, HasSubstr("\nCells:\n  AddCellInfo                  Makes a cell known.\n"));
  EXPECT_THAT(list, HasSubstr("\nNames of older clients:\n  ListAllTablets "));
  EXPECT_THAT(list, HasSubstr("Of a later version: OnlineDDL, MoveTables"));
}

TEST(Globals, InternalTakesFlagsOfVtctld) {
  std::vector<std::string> words = {"--server=internal", "--topo-implementation",
                                    "embedded",          "--topo-global-root=/p",
                                    "--path-style",      "GetTablets",
                                    "--cell=a"};
  FlagOfVtctld flag = [](const std::string& name) {
    if (name == "path-style") return std::optional<bool>(false);
    return name.starts_with("topo-") ? std::optional<bool>(true) : std::nullopt;
  };
  Result<Globals> globals = TakeGlobals(&words, flag);
  ASSERT_TRUE(globals.has_value());
  EXPECT_THAT(globals->internal_flags, ElementsAre("--topo-implementation", "embedded",
                                                   "--topo-global-root=/p", "--path-style"));
  EXPECT_THAT(words, ElementsAre("GetTablets", "--cell=a"));
}

TEST(Completion, ForBothShells) {
  EXPECT_THAT(*CompletionScript("bash"), HasSubstr("PlannedReparentShard"));
  EXPECT_THAT(*CompletionScript("zsh"), HasSubstr("#compdef vtctldclient"));
  EXPECT_THAT(CompletionScript("fish").error().message(), HasSubstr("bash"));
}

struct Captured final : port::CommandOutput {
  void Print(std::string_view text) override { printed += text; }
  void Log(std::string_view line) override { logged += line; }
  std::string printed, logged;
};

struct FakeVtctld final : port::Vtctld {
  io::Task<Status> GetKeyspace(const vtctldata::GetKeyspaceRequest& request,
                               vtctldata::GetKeyspaceResponse& response, Deadline) override {
    if (request.keyspace() != "commerce")
      co_return Fail(Code::kNotFound, "keyspace {} does not exist", request.keyspace());
    response.mutable_keyspace()->set_name(request.keyspace());
    co_return Status();
  }
  io::Task<Status> ExecuteVtctlCommand(std::vector<std::string> args, port::CommandOutput&,
                                       Deadline) override {
    legacy = args;
    co_return Status();
  }
  std::vector<std::string> legacy;
};

TEST(Commands, GoOverThePort) {
  io::Loop loop;
  FakeVtctld vtctld;
  Captured output;
  Globals globals;
  globals.compact = true;
  Status done =
      io::RunUntilDone(loop, RunWords({"getkeyspace", "commerce"}, globals, vtctld, output));
  EXPECT_TRUE(done);
  EXPECT_EQ(output.printed, "{\n  \"name\": \"commerce\"\n}\n");
  done = io::RunUntilDone(loop, RunWords({"GetKeyspace", "nope"}, globals, vtctld, output));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "keyspace nope does not exist");
  // What the typed request has no field for goes as words.
  done = io::RunUntilDone(
      loop, RunWords({"EmergencyReparentShard", "--force", "ks/0"}, globals, vtctld, output));
  EXPECT_THAT(vtctld.legacy, ElementsAre("EmergencyReparentShard", "--force", "ks/0"));
}

}  // namespace
}  // namespace paceline::cli
