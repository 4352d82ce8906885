// `tessera simulate`: a workload under a policy on devices that are not there, or a recorded run decided again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

struct SimulateOptions {
  std::filesystem::path replay;  // a journal, instead of everything below but `json`
  std::filesystem::path workload;
  std::filesystem::path profiles;
  std::string device;
  std::size_t devices = 1;
  std::size_t devices_per_node = 8;
  std::vector<std::string> lose;  // "1@2.5": the device, and seconds from when counting begins
  std::vector<std::string> join;  // likewise
  std::string policy = "tessera";
  std::uint64_t seed = 1;
  double seconds = 10;
  double warm_seconds = 1;
  std::optional<double> rate;
  std::optional<double> slo_factor;
  bool search = false;
  int seeds = 5;
  bool unprofiled = false;
  bool evictable = false;
  std::optional<std::uint64_t> memory_mb;  // of a device, for models
  std::filesystem::path json;
  std::filesystem::path runs;
  std::string command;  // as it was given
};

void add_simulate_flags(CLI::App& command, SimulateOptions& options);

// The exit status.
int simulate(const SimulateOptions& options);

}  // namespace tessera::apps
