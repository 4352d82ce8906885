// What the kernel says of a host's processors and of its GPU driver.
#pragma once

#include <filesystem>
#include <string>

namespace tessera {

// The first processor's, as its maker calls it ("AMD EPYC 9654 96-Core Processor"), or its part number where it has no
// name; empty where neither is told. Thread-safe.
std::string processor_name(const std::filesystem::path& info = "/proc/cpuinfo");

// Of the NVIDIA kernel module: "580.95.05"; empty where there is none, or a container does not show it. Thread-safe.
std::string nvidia_module_version(const std::filesystem::path& file = "/proc/driver/nvidia/version");

}  // namespace tessera
