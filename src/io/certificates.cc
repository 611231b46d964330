#include "io/certificates.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

namespace paceline::io {
namespace {

struct Free {
  void operator()(X509* one) const { X509_free(one); }
  void operator()(EVP_PKEY* one) const { EVP_PKEY_free(one); }
  void operator()(BIO* one) const { BIO_free(one); }
  void operator()(X509_EXTENSION* one) const { X509_EXTENSION_free(one); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Error OpenSslError(std::string_view what) {
  char text[256] = "unknown error";
  if (unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return Error(Code::kInternal, fmt::format("{}: {}", what, text));
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return Fail(OpenSslError("a certificate's extension " + value));
  }
  return {};
}

bool IsAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// Null `authority`: signs itself.
Result<Certificate> Make(const Certificate* authority, const std::string& name,
                         const std::vector<std::string>& hosts, WallTime now, Duration lifetime) {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  Owned<X509> certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return Fail(OpenSslError("making a key"));
  X509* const x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  unsigned char serial[8];
  RAND_bytes(serial, sizeof serial);
  uint64_t number = 0;
  for (unsigned char byte : serial) number = number << 8 | byte;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), number >> 1 | 1);
  const time_t from = static_cast<time_t>(now.unix_ns / 1'000'000'000) - 3600;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
  ASN1_TIME_set(X509_getm_notBefore(x509), from);
  ASN1_TIME_set(X509_getm_notAfter(x509), from + 3600 + static_cast<time_t>(seconds));
  X509_set_pubkey(x509, key.get());
  X509_NAME* subject = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>("Paceline"), -1, -1, 0);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  Owned<X509> issuer;
  Owned<EVP_PKEY> issuer_key;
  if (authority != nullptr) {
    Owned<BIO> cert(
        BIO_new_mem_buf(authority->cert_pem.data(), static_cast<int>(authority->cert_pem.size())));
    issuer.reset(PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr));
    Owned<BIO> secret(
        BIO_new_mem_buf(authority->key_pem.data(), static_cast<int>(authority->key_pem.size())));
    issuer_key.reset(PEM_read_bio_PrivateKey(secret.get(), nullptr, nullptr, nullptr));
    if (issuer == nullptr || issuer_key == nullptr) {
      return Fail(OpenSslError("reading the certificate authority"));
    }
  }
  X509* const signer = issuer != nullptr ? issuer.get() : x509;
  X509_set_issuer_name(x509, X509_get_subject_name(signer));
  if (authority == nullptr) {
    RETURN_IF_ERROR(AddExtension(x509, signer, NID_basic_constraints, "critical,CA:TRUE"));
    RETURN_IF_ERROR(AddExtension(x509, signer, NID_key_usage, "critical,keyCertSign,cRLSign"));
    RETURN_IF_ERROR(AddExtension(x509, signer, NID_subject_key_identifier, "hash"));
  } else {
    RETURN_IF_ERROR(AddExtension(x509, signer, NID_basic_constraints, "critical,CA:FALSE"));
    RETURN_IF_ERROR(AddExtension(x509, signer, NID_key_usage, "critical,digitalSignature"));
    RETURN_IF_ERROR(AddExtension(x509, signer, NID_ext_key_usage, "serverAuth,clientAuth"));
    std::string names;
    for (const std::string& host : hosts) {
      names += (names.empty() ? "" : ",") + std::string(IsAddress(host) ? "IP:" : "DNS:") + host;
    }
    if (!names.empty()) RETURN_IF_ERROR(AddExtension(x509, signer, NID_subject_alt_name, names));
  }
  if (X509_sign(x509, issuer_key != nullptr ? issuer_key.get() : key.get(), EVP_sha256()) == 0) {
    return Fail(OpenSslError("signing the certificate of " + name));
  }
  Owned<BIO> cert_out(BIO_new(BIO_s_mem())), key_out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(cert_out.get(), x509);
  PEM_write_bio_PKCS8PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return Certificate{Text(cert_out.get()), Text(key_out.get())};
}

}  // namespace

Result<Certificate> MakeAuthority(const std::string& name, WallTime now, Duration lifetime) {
  return Make(nullptr, name, {}, now, lifetime);
}

Result<Certificate> IssueCertificate(const Certificate& authority, const std::string& name,
                                     const std::vector<std::string>& hosts, WallTime now,
                                     Duration lifetime) {
  return Make(&authority, name, hosts, now, lifetime);
}

}  // namespace paceline::io
