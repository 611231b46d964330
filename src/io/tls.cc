#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/uio.h>

#include <algorithm>

namespace paceline::io {
namespace {

std::string OpenSslReason() {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown TLS error";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

}  // namespace

struct TlsContext::Impl {
  std::unique_ptr<SSL_CTX, ContextDeleter> context;
  TlsOptions options;
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

namespace {

Result<std::unique_ptr<TlsContext::Impl>> MakeImpl(const TlsOptions& options,
                                                   const SSL_METHOD* method) {
  auto impl = std::make_unique<TlsContext::Impl>();
  impl->options = options;
  impl->context.reset(SSL_CTX_new(method));
  SSL_CTX* context = impl->context.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  if (!options.cert_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1) {
      return Fail(Code::kInvalidArgument, "certificate {}: {}", options.cert_file, OpenSslReason());
    }
    if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      return Fail(Code::kInvalidArgument, "private key {}: {}", options.key_file, OpenSslReason());
    }
  }
  if (!options.ca_file.empty() &&
      SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
    return Fail(Code::kInvalidArgument, "CA file {}: {}", options.ca_file, OpenSslReason());
  }
  return impl;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::Server(const TlsOptions& options) {
  if (options.cert_file.empty() || options.key_file.empty()) {
    return Fail(Code::kInvalidArgument, "a TLS server needs a certificate and a key file");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, MakeImpl(options, TLS_server_method()));
  if (!options.ca_file.empty()) {
    int mode =
        SSL_VERIFY_PEER | (options.require_peer_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(impl->context.get(), mode, nullptr);
  }
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

Result<std::shared_ptr<TlsContext>> TlsContext::Client(const TlsOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, MakeImpl(options, TLS_client_method()));
  if (!options.ca_file.empty()) SSL_CTX_set_verify(impl->context.get(), SSL_VERIFY_PEER, nullptr);
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

namespace {

// TLS over a Socket. Ciphertext waits in `sealed_` until the kernel takes it; at most one record's
// worth beyond kMostSealed, since TryWrite takes nothing while that much waits.
class TlsStream final : public Stream, private WritableListener {
 public:
  TlsStream(std::unique_ptr<Socket> socket, std::shared_ptr<TlsContext> context, bool server)
      : socket_(std::move(socket)), context_(std::move(context)) {
    ssl_.reset(SSL_new(context_->impl().context.get()));
    read_bio_ = BIO_new(BIO_s_mem());
    write_bio_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(read_bio_, -1);
    SSL_set_bio(ssl_.get(), read_bio_, write_bio_);
    const TlsOptions& options = context_->impl().options;
    if (server) {
      SSL_set_accept_state(ssl_.get());
    } else {
      SSL_set_connect_state(ssl_.get());
      if (!options.server_name.empty()) {
        // An address is looked for among the certificate's addresses, and is no SNI.
        const char* name = options.server_name.c_str();
        X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
        const bool address = X509_VERIFY_PARAM_set1_ip_asc(verify, name) == 1;
        if (!address) SSL_set_tlsext_host_name(ssl_.get(), name);
        if (!address && !options.ca_file.empty()) SSL_set1_host(ssl_.get(), name);
      }
    }
    socket_->SetWritableListener(this);
  }
  ~TlsStream() override { socket_->SetWritableListener(nullptr); }

  Task<Status> Handshake(std::string early, Deadline deadline) {
    if (!early.empty()) BIO_write(read_bio_, early.data(), static_cast<int>(early.size()));
    for (;;) {
      ERR_clear_error();
      int result = SSL_do_handshake(ssl_.get());
      Status sent = SendSealed();
      if (!sent) co_return sent;
      if (result == 1) co_return Status();
      int why = SSL_get_error(ssl_.get(), result);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        co_return Fail(Code::kUnauthenticated, "TLS handshake: {}", OpenSslReason());
      }
      Result<size_t> fed = Feed();
      if (!fed) co_return Fail(fed.error());
      if (*fed > 0) continue;
      Wake wake = co_await socket_->Readable(deadline);
      if (wake == Wake::kTimeout)
        co_return Fail(Code::kDeadlineExceeded, "TLS handshake timed out");
      if (wake == Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
    }
  }

  Result<size_t> TryRead(char* buffer, size_t size) override {
    for (;;) {
      ERR_clear_error();
      int got = SSL_read(ssl_.get(), buffer, static_cast<int>(std::min<size_t>(size, 1 << 30)));
      if (got > 0) return static_cast<size_t>(got);
      int why = SSL_get_error(ssl_.get(), got);
      if (BIO_pending(write_bio_) > 0) RETURN_IF_ERROR(SendSealed());
      if (why == SSL_ERROR_ZERO_RETURN)
        return Fail(Code::kUnavailable, "connection closed by the peer");
      if (why != SSL_ERROR_WANT_READ) return Fail(Code::kUnavailable, "TLS: {}", OpenSslReason());
      ASSIGN_OR_RETURN(size_t fed, Feed());
      if (fed == 0) return size_t{0};
    }
  }

  Result<size_t> TryWrite(const iovec* parts, int count) override {
    size_t taken = 0;
    for (int i = 0; i < count; ++i) {
      auto* data = static_cast<const char*>(parts[i].iov_base);
      size_t left = parts[i].iov_len;
      while (left > 0) {
        if (sealed_.size() - sent_ > kMostSealed) {
          RETURN_IF_ERROR(SendSealed());
          if (sealed_.size() - sent_ > kMostSealed) return taken;
        }
        ERR_clear_error();
        int put = SSL_write(ssl_.get(), data, static_cast<int>(std::min<size_t>(left, 16 * 1024)));
        if (put <= 0) return Fail(Code::kUnavailable, "TLS: {}", OpenSslReason());
        TakeSealed();
        data += put;
        left -= static_cast<size_t>(put);
        taken += static_cast<size_t>(put);
      }
    }
    RETURN_IF_ERROR(SendSealed());
    return taken;
  }

  void SetWritableListener(WritableListener* listener) override { listener_ = listener; }
  Task<Wake> WaitReadable(Deadline deadline) override { return socket_->WaitReadable(deadline); }
  void Shutdown() override {
    SSL_shutdown(ssl_.get());
    TakeSealed();
    (void)SendSealed();
    socket_->Shutdown();
  }
  Socket& socket() override { return *socket_; }
  SSL* ssl() { return ssl_.get(); }

 private:
  static constexpr size_t kMostSealed = 128 * 1024;

  void OnWritable() override {
    if (!SendSealed()) return;  // the next read or write reports it
    if (sealed_.size() == sent_ && listener_ != nullptr) listener_->OnWritable();
  }

  Result<size_t> Feed() {
    char local[16 * 1024];  // not the loop's scratch buffer: our caller may be reading into that
    ASSIGN_OR_RETURN(size_t got, socket_->TryRead(local, sizeof local));
    if (got > 0) BIO_write(read_bio_, local, static_cast<int>(got));
    return got;
  }

  void TakeSealed() {
    size_t pending = static_cast<size_t>(BIO_pending(write_bio_));
    if (pending == 0) return;
    size_t before = sealed_.size();
    sealed_.resize(before + pending);
    BIO_read(write_bio_, sealed_.data() + before, static_cast<int>(pending));
  }

  Status SendSealed() {
    TakeSealed();
    if (sent_ < sealed_.size()) {
      iovec part{sealed_.data() + sent_, sealed_.size() - sent_};
      ASSIGN_OR_RETURN(size_t put, socket_->TryWrite(&part, 1));
      sent_ += put;
    }
    if (sent_ == sealed_.size()) {
      sealed_.clear();
      sent_ = 0;
    }
    return {};
  }

  std::unique_ptr<Socket> socket_;
  std::shared_ptr<TlsContext> context_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
  BIO* read_bio_;
  BIO* write_bio_;
  std::string sealed_;
  size_t sent_ = 0;
  WritableListener* listener_ = nullptr;
};

Task<Result<StreamPtr>> Handshake(std::unique_ptr<TlsStream> stream, std::string early,
                                  Deadline deadline) {
  Status done = co_await stream->Handshake(std::move(early), deadline);
  if (!done) co_return Fail(done.error());
  co_return StreamPtr(std::move(stream));
}

}  // namespace

Task<Result<StreamPtr>> TlsAccept(std::unique_ptr<Socket> socket,
                                  std::shared_ptr<TlsContext> context, std::string early,
                                  Deadline deadline) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(context), true);
  return Handshake(std::move(stream), std::move(early), deadline);
}

Task<Result<StreamPtr>> TlsConnect(std::unique_ptr<Socket> socket,
                                   std::shared_ptr<TlsContext> context, Deadline deadline) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(context), false);
  return Handshake(std::move(stream), std::string(), deadline);
}

bool IsTls(Stream& stream) { return dynamic_cast<TlsStream*>(&stream) != nullptr; }

std::string TlsPeerSubject(Stream& stream) {
  auto* tls = dynamic_cast<TlsStream*>(&stream);
  if (tls == nullptr) return "";
  std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(tls->ssl()),
                                                          &X509_free);
  if (!certificate) return "";
  char text[512] = "";
  X509_NAME_oneline(X509_get_subject_name(certificate.get()), text, sizeof text);
  return text;
}

}  // namespace paceline::io
