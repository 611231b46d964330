#include "rpc/pem.h"

#include <fstream>
#include <iterator>

namespace paceline::rpc {

Result<std::string> ReadPem(const std::string& path) {
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file || text.empty()) {
    return Fail(Code::kInvalidArgument, "certificate file {} cannot be read or is empty", path);
  }
  return text;
}

}  // namespace paceline::rpc
