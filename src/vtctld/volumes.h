// vtctld/volumes.h - who makes a tablet's volume larger: a command, or Kubernetes. Threads: the
// loop's thread; requests on blocking threads. Lifetime: calls have ended before it is destroyed.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "io/task.h"
#include "record/record.h"

namespace paceline::vtctld {

struct VolumeAsked {
  record::Tablet tablet;
  std::string folder;  // of its data, on its host
  uint64_t old_bytes = 0, bytes = 0;
};

class Volumes {
 public:
  virtual ~Volumes() = default;
  struct Progress {
    bool grown = false;
    std::string told;  // for people; may be empty
  };
  // Asks for it; repeating it is safe. Errors: kFailedPrecondition where it would shrink, else why
  // it was refused, in the words of who refused.
  virtual io::Task<Result<Progress>> Grow(VolumeAsked asked, Deadline deadline) = 0;
  // How far what was asked for has come.
  virtual io::Task<Result<Progress>> Look(VolumeAsked asked, Deadline deadline) = 0;
};

// Runs `command` (words separated by blanks) with the tablet's alias, its folder, and the old and
// the new number of bytes; it has grown the file system too when it ends with 0. The environment
// has TABLET_HOSTNAME, KEYSPACE and SHARD besides.
std::unique_ptr<Volumes> CommandVolumes(std::string command);

struct KubernetesOptions {
  std::string api;                 // "https://10.0.0.1:443"
  std::string name_space;          // of the claims
  std::string token_file;          // read for each request, for it is renewed; empty: none
  std::string ca_file;             // empty: as the system says
  std::string claim = "vt-{pod}";  // {pod}: the first label of the tablet's host name
};
// Patches the request of the tablet's PersistentVolumeClaim.
std::unique_ptr<Volumes> KubernetesVolumes(KubernetesOptions options);

}  // namespace paceline::vtctld
