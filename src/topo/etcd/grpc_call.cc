#include "topo/etcd/grpc_call.h"

#include <fstream>
#include <sstream>

#include "base/strings.h"
#include "io/sleep.h"

namespace paceline::topo::etcd {
namespace {

Result<std::string> ReadPem(const std::string& file) {
  if (file.empty()) return std::string();
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  if (!in || text.str().empty())
    return Fail(Code::kInvalidArgument, "etcd TLS: cannot read {}", file);
  return text.str();
}

}  // namespace

void SetDeadline(grpc::ClientContext& context, Duration left) {
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left.count(), GPR_TIMESPAN)));
}

bool WorthAnotherEndpoint(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
      return true;
    default:
      return false;
  }
}

Error ToError(const grpc::Status& status, const std::string& endpoint) {
  Code code =
      WorthAnotherEndpoint(status) ? Code::kUnavailable : static_cast<Code>(status.error_code());
  return Error(code, fmt::format("etcd {}: {}", endpoint, status.error_message()));
}

Result<std::vector<EndpointChannel>> MakeChannels(const EtcdOptions& options) {
  bool tls = !options.tls_cert.empty() || !options.tls_key.empty() || !options.tls_ca.empty();
  std::vector<std::string> addresses;
  for (std::string_view part : Split(options.endpoints, ',')) {
    std::string_view address = Trim(part);
    if (address.starts_with("http://")) address.remove_prefix(7);
    if (address.starts_with("https://")) {
      address.remove_prefix(8);
      tls = true;
    }
    while (address.ends_with('/')) address.remove_suffix(1);
    if (address.find(':') == std::string_view::npos) {
      return Fail(Code::kInvalidArgument, "etcd endpoint \"{}\" is not host:port", part);
    }
    addresses.emplace_back(address);
  }
  if (addresses.empty())
    return Fail(Code::kInvalidArgument, "no etcd endpoint is given: expected host:port,...");
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (tls) {
    grpc::SslCredentialsOptions ssl;
    ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadPem(options.tls_ca));
    ASSIGN_OR_RETURN(ssl.pem_private_key, ReadPem(options.tls_key));
    ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadPem(options.tls_cert));
    credentials = grpc::SslCredentials(ssl);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A dead peer breaks watch streams within 8 s; etcd refuses pings closer together than 5 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5500);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  std::vector<EndpointChannel> channels;
  for (std::string& address : addresses) {
    auto channel = grpc::CreateCustomChannel(address, credentials, arguments);
    channels.push_back({std::move(address), std::move(channel)});
  }
  return channels;
}

io::Task<void> WaitForNone(io::Loop& loop, Counter held) {
  while (held->load() > 0) {
    Deadline next = Deadline::At(loop.Now() + 1ms);
    co_await io::SleepUntil(next);
  }
}

}  // namespace paceline::topo::etcd
