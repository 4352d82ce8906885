// What is taken of a card's memory and of this process's, as the driver and the system know it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>

#include "device/cuda/gpu.h"

namespace tessera::engine {

// What libraries and the C library's heap may keep for themselves; a small model that stayed would show.
inline constexpr double kMostLeftMb = 16;

// Immutable value.
struct MemoryBooks {
  double host_mb = 0;
  double card_mb = 0;  // by all processes

  static MemoryBooks of(const device::Gpu& gpu) {
    std::ifstream file("/proc/self/statm");
    double size = 0;
    double resident = 0;
    file >> size >> resident;
    const device::CurrentContext current(gpu);
    std::size_t free = 0;
    std::size_t total = 0;
    EXPECT_EQ(gpu.driver().mem_get_info(&free, &total), CUDA_SUCCESS);
    return {.host_mb = resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6,
            .card_mb = static_cast<double>(total - free) / 1e6};
  }
  std::string to_json() const {
    return "{\"host_mb\":" + std::to_string(host_mb) + ",\"card_mb\":" + std::to_string(card_mb) + "}";
  }
};

}  // namespace tessera::engine
