// Profiles kept on disk between runs of the server.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sched/profile.h"

namespace tessera::model {

// What a profile holds for: another of any of these is another profile.
struct ProfileKey {
  std::string model;   // digest of the instance
  std::string device;  // name, processors, hardware and driver
  std::string engine;  // name, version and options
};

// Thread-safe: every method touches the disk alone. Without a folder nothing is kept.
class ProfileCache {
 public:
  explicit ProfileCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Nothing where there is none; a file that cannot be used is reported in the log and left to be replaced.
  std::optional<std::vector<sched::ProfilePoint>> load(const ProfileKey& key) const;

  // Failures are reported in the log: a profile can be measured again.
  void save(const ProfileKey& key, const std::vector<sched::ProfilePoint>& points) const;

  std::filesystem::path file_of(const ProfileKey& key) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace tessera::model
