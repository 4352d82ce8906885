// `tessera profile`: how long a model's batches take in each slice of a device, and where it is most efficient.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/devices.h"

namespace CLI {  // NOLINT(readability-identifier-naming): theirs
class App;
}

namespace tessera::apps {

struct ProfileOptions {
  std::vector<std::string> models;
  std::vector<std::filesystem::path> repositories;
  DeviceChoice device;
  std::vector<int> host_cores;  // empty: all
  std::string name;             // of the device in the results; empty: its own
  std::optional<double> slo_ms;
  std::optional<double> rate;  // requests a second, for the time that a batch takes to fill
  double point_ms = 300;
  std::filesystem::path csv;
  std::filesystem::path json;
  std::filesystem::path html;
  std::string command;  // as it was given
};

// Declares the flags on `command`; parsing fills `options`, which must live as long as the command.
void add_profile_flags(CLI::App& command, ProfileOptions& options);

// The exit status.
int profile(const ProfileOptions& options);

}  // namespace tessera::apps
