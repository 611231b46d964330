#include "cli/client.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/flags.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "rpc/vtctld.h"
#include "vtctld/command/command.h"

namespace paceline::cli {
namespace {

class Terminal final : public port::CommandOutput {
 public:
  void Print(std::string_view text) override { std::cout << text; }
  void Log(std::string_view line) override {
    std::cerr << line << (line.ends_with('\n') ? "" : "\n");
  }
};

Result<std::string> ReadLocalFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Fail(Code::kNotFound, "cannot read {}", path);
  return text.str();
}

std::string GlobalHelp() {
  return "Administers a cluster through its vtctld.\n\n"
         "Usage: vtctldclient --server <host:port> <command> [flags] [arguments]\n\n"
         "  --server <host:port>        vtctld's gRPC address (required); \"internal\": no vtctld, "
         "this program does\n"
         "                              the work itself, and takes vtctld's --topo-* and backup "
         "flags\n"
         "  --action-timeout <duration> how long the command may take (default 1h)\n"
         "  --json                      print the whole answer as JSON\n"
         "  --compact                   JSON without fields that are not set\n"
         "  --vtctld-grpc-ca, --vtctld-grpc-cert, --vtctld-grpc-key <file>, "
         "--vtctld-grpc-server-name <name>\n"
         "                              TLS to vtctld\n"
         "  --grpc-auth-static-client-creds <file>\n"
         "                              {\"Username\": name, \"Password\": token} for a vtctld "
         "that asks who calls\n" +
         CommandList() +
         "\n\"vtctldclient help <command>\" tells a command's flags; \"completion bash\" and "
         "\"completion zsh\" print a script\n"
         "for the shell.\n";
}

int Told(const Error& error) {
  std::cout << std::flush;
  std::cerr << "Error: " << error.ToString();
  if (error.from_mysql()) {  // as Vitess writes it
    std::cerr << " (errno " << error.mysql_errno() << ") (sqlstate " << error.sqlstate() << ")";
  }
  std::cerr << "\n";
  return error.code() == Code::kInvalidArgument ? 2 : 1;
}

// A short word on what to do when nothing answers.
Error WithAdvice(const Error& error, const std::string& server) {
  // A vtctld that answered may itself have found a tablet unavailable: only gRPC's own words for a
  // connection that was not made ask for advice.
  bool never_reached = error.message().starts_with(server + ": failed to connect");
  if (error.code() != Code::kUnavailable || !never_reached) return error;
  return Error(Code::kUnavailable,
               fmt::format("{}. Does vtctld run at {}? (--server names its gRPC port)",
                           error.message(), server));
}

using Runner = io::Task<Status> (*)(std::vector<std::string>, Globals, port::Vtctld&,
                                    port::CommandOutput&);

io::Task<Status> Connected(io::Loop& loop, std::vector<std::string> words, Globals globals,
                           Runner run) {
  rpc::ChannelOptions options;
  options.tls = !globals.tls_ca.empty() || !globals.tls_cert.empty();
  options.ca_file = globals.tls_ca;
  options.cert_file = globals.tls_cert;
  options.key_file = globals.tls_key;
  options.server_name = globals.tls_server_name;
  if (!globals.credentials_file.empty()) {
    Result<std::string> text = ReadLocalFile(globals.credentials_file);
    if (!text) co_return Fail(text.error());
    const nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
    for (const auto& [key, name] : {std::pair("Username", "username"), {"Password", "password"}}) {
      if (!json.is_object() || !json.contains(key) || !json[key].is_string()) {
        co_return Fail(Code::kInvalidArgument,
                       "{}: not a JSON object with the texts Username and Password",
                       globals.credentials_file);
      }
      options.metadata.emplace_back(name, json[key].get<std::string>());
    }
  }
  Result<rpc::ChannelPtr> channel = rpc::Channel::Open(loop, globals.server, options);
  if (!channel) co_return Fail(channel.error());
  std::unique_ptr<port::Vtctld> vtctld = rpc::NewVtctldClient(*channel);
  Terminal terminal;
  Status done = co_await run(words, globals, *vtctld, terminal);
  co_await (*channel)->Close();
  if (!done) co_return Fail(WithAdvice(done.error(), globals.server));
  co_return done;
}

io::Task<Status> OnTerminal(std::vector<std::string> words, Globals globals, port::Vtctld* vtctld) {
  Terminal terminal;
  Status done = co_await RunWords(words, globals, *vtctld, terminal);
  co_return done;
}

io::Task<Status> Internal(io::Loop& loop, const UseInternal& use, std::vector<std::string> words,
                          Globals globals) {
  std::function<io::Task<Status>(port::Vtctld&)> run = [words, globals](port::Vtctld& vtctld) {
    return OnTerminal(words, globals, &vtctld);
  };
  Status done = co_await use(loop, globals.internal_flags, run);
  co_return done;
}

int RunInternally(std::vector<std::string> words, const Globals& globals, const UseInternal& use) {
  StartLog({.program = "client", .level = LogLevel::kError});
  io::Loop loop;
  Status done = io::RunUntilDone(loop, Internal(loop, use, std::move(words), globals));
  if (!done) return Told(done.error());
  std::cout << std::flush;
  return std::cout ? 0 : 1;
}

int RunConnected(std::vector<std::string> words, const Globals& globals, Runner run) {
  if (globals.server.empty()) {
    return Told(
        Error(Code::kInvalidArgument,
              "--server is required: the host:port of vtctld's gRPC, e.g. localhost:15999"));
  }
  StartLog({.program = "client", .level = LogLevel::kError});
  io::Loop loop;
  Status done = io::RunUntilDone(loop, Connected(loop, std::move(words), globals, run));
  if (!done) return Told(done.error());
  std::cout << std::flush;
  return std::cout ? 0 : 1;
}

// The words of one command of vtctlclient, as they were typed.
io::Task<Status> RunLegacy(std::vector<std::string> words, Globals globals, port::Vtctld& vtctld,
                           port::CommandOutput& output) {
  Deadline deadline = Deadline::In(globals.action_timeout);
  Status done = co_await vtctld.ExecuteVtctlCommand(std::move(words), output, deadline);
  co_return done;
}

// What takes no vtctld: help and completion. Empty: something else.
std::optional<int> RunAlone(const std::vector<std::string>& words, bool help) {
  if (words.empty()) {
    std::cout << GlobalHelp();
    return help ? 0 : 2;
  }
  if (words[0] == "completion") {
    Result<std::string> script = CompletionScript(words.size() > 1 ? words[1] : "");
    if (!script) return Told(script.error());
    std::cout << *script;
    return 0;
  }
  bool asks = EqualsIgnoreCase(words[0], "help");
  std::string name = !asks ? words[0] : words.size() > 1 ? words[1] : "";
  if (name.empty()) {
    std::cout << GlobalHelp();
    return 0;
  }
  bool of_command = asks || help || std::ranges::find(words, "--help") != words.end();
  if (!of_command && vtctld::FindCommand(name) != nullptr) return std::nullopt;
  port::Vtctld nobody;
  Terminal terminal;
  io::Loop loop;
  Status done = io::RunUntilDone(loop, RunWords({name, "--help"}, Globals(), nobody, terminal));
  return done ? 0 : Told(done.error());
}

}  // namespace

Result<Globals> TakeGlobals(std::vector<std::string>* words, const FlagOfVtctld& vtctld) {
  Globals globals;
  struct Flag {
    std::string_view name;
    std::string* text;
    bool* on;
  };
  std::string timeout, ignored;
  const Flag flags[] = {{"server", &globals.server, nullptr},
                        {"action-timeout", &timeout, nullptr},
                        {"vtctld-grpc-ca", &globals.tls_ca, nullptr},
                        {"vtctld-grpc-cert", &globals.tls_cert, nullptr},
                        {"vtctld-grpc-key", &globals.tls_key, nullptr},
                        {"vtctld-grpc-server-name", &globals.tls_server_name, nullptr},
                        {"grpc-auth-static-client-creds", &globals.credentials_file, nullptr},
                        {"vtctl-client-protocol", &ignored, nullptr},
                        {"vtctld-client-protocol", &ignored, nullptr},
                        {"alsologtostderr", nullptr, nullptr},
                        {"logtostderr", nullptr, nullptr}};
  std::vector<std::string> rest;
  bool command_seen = false, ended = false;
  for (size_t i = 0; i < words->size(); ++i) {
    const std::string& word = (*words)[i];
    if (ended || !word.starts_with('-')) {
      command_seen = true;
      rest.push_back(word);
      continue;
    }
    ended = word == "--";
    std::string name(word.substr(word.starts_with("--") ? 2 : 1));
    size_t equals = name.find('=');
    std::optional<std::string> value;
    if (equals != std::string::npos) value = name.substr(equals + 1);
    name = ReplaceAll(name.substr(0, equals), "_", "-");
    bool plain = !command_seen && !value;
    if (plain && (name == "json" || name == "compact" || name == "help" || name == "h")) {
      (name == "json" ? globals.json : name == "compact" ? globals.compact : globals.help) = true;
      continue;
    }
    const Flag* flag = std::ranges::find(flags, name, &Flag::name);
    if (ended || flag == std::end(flags)) {
      std::optional<bool> needs_value;
      if (!command_seen && !ended && vtctld) needs_value = vtctld(name);
      if (needs_value) {
        globals.internal_flags.push_back(word);
        if (*needs_value && !value && i + 1 < words->size())
          globals.internal_flags.push_back((*words)[++i]);
        continue;
      }
      if (!command_seen && !ended) {
        return Fail(Code::kInvalidArgument,
                    "unknown flag {} before the command: \"vtctldclient help\" lists them", word);
      }
      rest.push_back(word);
      continue;
    }
    if (flag->text == nullptr) continue;
    if (!value && i + 1 == words->size())
      return Fail(Code::kInvalidArgument, "flag {} needs a value", word);
    *flag->text = value ? *value : (*words)[++i];
  }
  if (!timeout.empty()) {
    ASSIGN_OR_RETURN(globals.action_timeout, ParseDuration(timeout));
  }
  *words = std::move(rest);
  return globals;
}

io::Task<Status> RunWords(std::vector<std::string> words, Globals globals, port::Vtctld& vtctld,
                          port::CommandOutput& output) {
  vtctld::Call call{
      vtctld, output, Deadline::In(globals.action_timeout), {words.begin() + 1, words.end()}};
  call.json = globals.json;
  call.compact = globals.compact;
  call.read_file = ReadLocalFile;
  Status done = co_await vtctld::RunCommand(words[0], call);
  co_return done;
}

std::string CommandList() {
  std::string text, later;
  std::string_view group;
  for (const vtctld::Command& command : vtctld::AllCommands()) {
    if (command.shown == vtctld::Shown::kLater) {
      later += (later.empty() ? "" : ", ") + std::string(command.name);
      continue;
    }
    if (command.shown == vtctld::Shown::kGone) continue;
    if (command.group != group) text += fmt::format("\n{}:\n", group = command.group);
    text += fmt::format("  {:<28} {}\n", command.name, command.summary);
  }
  return text + "\nOf a later version: " + later + "\n";
}

Result<std::string> CompletionScript(std::string_view shell) {
  std::string names;
  for (const vtctld::Command& command : vtctld::AllCommands()) {
    if (command.shown == vtctld::Shown::kYes) names += std::string(command.name) + " ";
  }
  names += "help completion";
  if (shell == "bash") {
    return fmt::format(
        "_vtctldclient() {{\n"
        "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" commands=\"{}\" command= i\n"
        "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "    [[ \" $commands \" == *\" ${{COMP_WORDS[i]}} \"* ]] && command=${{COMP_WORDS[i]}} && "
        "break\n"
        "  done\n"
        "  if [[ $word == -* && -n $command ]]; then\n"
        "    COMPREPLY=($(compgen -W \"$(\"${{COMP_WORDS[0]}}\" help \"$command\" 2>/dev/null | "
        "grep -oE -- '--[a-z0-9-]+')\" -- \"$word\"))\n"
        "  elif [[ -n $command ]]; then\n"
        "    COMPREPLY=()\n"
        "  elif [[ $word == -* ]]; then\n"
        "    COMPREPLY=($(compgen -W \"--server --action-timeout --json --compact --help\" -- "
        "\"$word\"))\n"
        "  else\n"
        "    COMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
        "  fi\n"
        "}}\n"
        "complete -o default -F _vtctldclient vtctldclient\n",
        names);
  }
  if (shell == "zsh") {
    return fmt::format(
        "#compdef vtctldclient\n"
        "_vtctldclient() {{\n"
        "  local -a commands=({})\n"
        "  _arguments '--server[host and port of vtctld]:server:_hosts' "
        "'--action-timeout[duration]:duration:' '--json' \\\n"
        "    '--compact' '1:command:($commands)' '*::argument:_files'\n"
        "}}\n"
        "compdef _vtctldclient vtctldclient\n",
        names);
  }
  return Fail(Code::kInvalidArgument,
              "completion for \"{}\": use \"completion bash\" or \"completion zsh\"", shell);
}

int VtctldclientMain(const std::vector<std::string>& arguments, InternalVtctld internal) {
  std::vector<std::string> words = arguments;
  Result<Globals> globals = TakeGlobals(&words, internal.flag);
  if (!globals) return Told(globals.error());
  if (std::optional<int> code = RunAlone(words, globals->help)) return *code;
  if (globals->server == "internal") return RunInternally(words, *globals, internal.use);
  if (!globals->internal_flags.empty()) {
    return Told(Error(Code::kInvalidArgument,
                      fmt::format("{} is vtctld's own: give it with --server=internal, or leave it "
                                  "to the vtctld at {}",
                                  globals->internal_flags[0], globals->server)));
  }
  return RunConnected(words, *globals, RunWords);
}

int VtctlclientMain(const std::vector<std::string>& arguments) {
  Globals globals;
  bool legacy_names = false;
  FlagSet flags("vtctlclient", "--server <host:port> <command> [flags] [arguments]",
                "Runs a command of older clients on vtctld. \"help\" lists them; vtctldclient is "
                "today's program.");
  flags.Text("server", &globals.server, "vtctld's gRPC address");
  flags.Time("action-timeout", &globals.action_timeout, "how long the command may take");
  flags.Bool("legacy-names", &legacy_names,
             "print tablets as older versions did: \"master\", no term column");
  flags.Text("vtctld-grpc-ca", &globals.tls_ca, "file of the certificate authority of vtctld");
  flags.Text("vtctld-grpc-cert", &globals.tls_cert, "file of the own certificate");
  flags.Text("vtctld-grpc-key", &globals.tls_key, "file of its key");
  flags.Text("vtctld-grpc-server-name", &globals.tls_server_name,
             "the name in vtctld's certificate");
  flags.Text("grpc-auth-static-client-creds", &globals.credentials_file,
             "file with {\"Username\": name, \"Password\": token}");
  flags.Ignored("vtctl-client-protocol", true);
  flags.Ignored("alsologtostderr", false);
  flags.Ignored("logtostderr", false);
  Result<std::vector<std::string>> words = flags.Parse(arguments, true);
  if (!words) return Told(words.error());
  if (flags.help_asked()) {
    std::cout << flags.Help();
    return 0;
  }
  if (words->empty()) words->push_back("help");
  if (legacy_names) words->insert(words->begin(), "--legacy-names");
  return RunConnected(*words, globals, RunLegacy);
}

}  // namespace paceline::cli
