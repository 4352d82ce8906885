// How much memory the host lends this process.
#pragma once

#include <filesystem>

#include "base/ids.h"

namespace tessera {

// What the host has, or less where the process's group of processes (cgroup v2, `group_limit` in it as its container
// sees it) may have no more. Thread-safe.
Bytes host_memory(const std::filesystem::path& group_limit = "/sys/fs/cgroup/memory.max");

}  // namespace tessera
