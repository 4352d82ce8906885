#include "base/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>

namespace tessera {

Bytes host_memory(const std::filesystem::path& group_limit) {
  const std::uint64_t all =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::uint64_t limit = 0;
  std::ifstream file(group_limit);
  return {file >> limit ? std::min(all, limit) : all};  // "max" is no number
}

}  // namespace tessera
