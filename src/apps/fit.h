// `tessera fit`: whether a model with this objective and rate fits beside those of a workload, before it is loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

struct FitOptions {
  std::filesystem::path profiles;
  std::filesystem::path workload;  // empty: nobody is there
  std::string device;              // empty: the only one that the profiles have
  std::string model;
  std::string name;  // of the tenant; empty: the model's
  double slo_ms = 0;
  double rate = 0;
  std::optional<double> workload_rate;
  int max_batch = 16;
  int lanes = 2;
  double weight = 1;
  std::size_t devices = 1;
  std::size_t devices_per_node = 8;
  std::size_t most_devices = 64;
  std::string policy = "tessera";
  std::uint64_t seed = 1;
  std::uint64_t requests = 2000;
  std::filesystem::path json;
};

// Declares the flags on `command`; parsing fills `options`, which must live as long as the command.
void add_fit_flags(CLI::App& command, FitOptions& options);

// The exit status: 0 where it fits, 3 where it does not.
int fit(const FitOptions& options);

}  // namespace tessera::apps
