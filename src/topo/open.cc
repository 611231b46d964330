#include "topo/open.h"

#include <map>
#include <utility>

#include "io/loop.h"
#include "topo/embedded/embedded_conn.h"
#include "topo/etcd/etcd_conn.h"
#include "topo/memory/memory_conn.h"

namespace paceline::topo {
namespace {

class EtcdFactory final : public ConnFactory {
 public:
  explicit EtcdFactory(const OpenOptions& options) : options_(options) {}
  Result<ConnPtr> Open(std::string_view, std::string_view address, std::string_view root) override {
    etcd::EtcdOptions options{std::string(address), std::string(root), options_.tls_cert,
                              options_.tls_key, options_.tls_ca};
    return etcd::Open(io::Loop::Current(), options);
  }

 private:
  OpenOptions options_;
};

class EmbeddedFactory final : public ConnFactory {
 public:
  Result<ConnPtr> Open(std::string_view cell, std::string_view address,
                       std::string_view root) override {
    if (address.empty()) {
      return Fail(Code::kInvalidArgument,
                  "the embedded topology of {} needs a file as its server address", cell);
    }
    return embedded::Open(io::Loop::Current(), std::string(address), std::string(root));
  }
};

// Equal addresses on one loop share a store, in whatever Server they are named.
class MemoryFactory final : public ConnFactory {
 public:
  Result<ConnPtr> Open(std::string_view, std::string_view address, std::string_view root) override {
    thread_local std::map<std::string, std::weak_ptr<memory::Store>, std::less<>> stores;
    std::shared_ptr<memory::Store> store = stores[std::string(address)].lock();
    if (store == nullptr) {
      store = std::make_shared<memory::Store>();
      stores[std::string(address)] = store;
    }
    return ConnPtr(memory::Open(io::Loop::Current(), std::move(store), std::string(root)));
  }
};

}  // namespace

Result<std::unique_ptr<Server>> OpenServer(const OpenOptions& options) {
  std::unique_ptr<ConnFactory> factory;
  const std::string& name = options.implementation;
  if (name == "etcd2" || name == "etcd")
    factory = std::make_unique<EtcdFactory>(options);
  else if (name == "embedded" || name == "sqlite")
    factory = std::make_unique<EmbeddedFactory>();
  else if (name == "memory")
    factory = std::make_unique<MemoryFactory>();
  else {
    return Fail(Code::kInvalidArgument,
                "unknown --topo-implementation \"{}\": use etcd2, embedded or memory", name);
  }
  if (options.global_address.empty()) {
    return Fail(Code::kInvalidArgument,
                "--topo-global-server-address is empty: give the topology's address");
  }
  return Server::Open({options.global_address, options.global_root, options.lock_lease},
                      std::move(factory));
}

}  // namespace paceline::topo
