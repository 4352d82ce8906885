// What the repository index shows: the state of every version that was ever asked for.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "model/lifecycle.h"

namespace tessera::model {

enum class VersionState { kLoading, kReady, kUnloading, kUnavailable };

// Beyond that many names failures are not noted any more: load requests can make names up.
inline constexpr std::size_t kMaxIndexedModels = 20000;

// What one device says, and its name.
struct DeviceIndex {
  std::string device;
  std::vector<IndexEntry> entries;
};

// The devices' indices as that of the server: a version is ready where one device serves it, and its reason tells of
// those that do not.
std::vector<IndexEntry> merged(std::vector<DeviceIndex> devices);

// The index of one device. Thread-safe.
class VersionIndex {
 public:
  // Version 0 stands for a model that failed before its versions were known; any other state of the model ends it.
  void set(const std::string& model, std::int64_t version, VersionState state, std::string reason = {});
  // READY becomes UNAVAILABLE with that reason, and such a one READY again; any other state of the version stays.
  void suspend(const std::string& model, std::int64_t version, const std::string& reason);
  void resume(const std::string& model, std::int64_t version, const std::string& reason);
  // The versions that are not ready are forgotten: a new load finds its own.
  void forget_failures(const std::string& model);

  // One entry a version; for `known` models without any, one with nothing but the name. Sorted.
  std::vector<IndexEntry> entries(const std::vector<std::string>& known) const;
  // Whether a version of the model is ready.
  bool serves(const std::string& model) const;
  std::vector<std::string> serving() const;  // the models of which a version is ready

 private:
  struct Entry {
    VersionState state = VersionState::kUnavailable;
    std::string reason;
  };
  Entry* find(const std::string& model, std::int64_t version);

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::int64_t, Entry>> models_;
};

}  // namespace tessera::model
