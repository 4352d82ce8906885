#include "model/version_index.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace tessera::model {
namespace {

std::string name_of(VersionState state) {
  switch (state) {
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kReady:
      return "READY";
    case VersionState::kUnloading:
      return "UNLOADING";
    case VersionState::kUnavailable:
      break;
  }
  return "UNAVAILABLE";
}

// Which of two devices' states is the version's.
int rank(const std::string& state) {
  const std::string_view order[] = {"", "UNAVAILABLE", "UNLOADING", "LOADING", "READY"};
  return static_cast<int>(std::find(std::begin(order), std::end(order), state) - std::begin(order));
}

// `entry` gives its state to the version, or its reason.
void join(IndexEntry& whole, std::string& device_of_whole, const IndexEntry& entry, const std::string& device) {
  const auto tell = [&](const std::string& which, const std::string& reason) {
    if (reason.empty() || whole.reason.find(reason) != std::string::npos) return;
    whole.reason += (whole.reason.empty() ? "" : "; ") + ("on " + which + ": ") + reason;
  };
  if (rank(entry.state) > rank(whole.state)) {
    const std::string before = std::exchange(whole.reason, entry.reason);
    whole.state = entry.state;
    tell(std::exchange(device_of_whole, device), before);
  } else if (entry.state != whole.state || entry.reason != whole.reason) {
    tell(device, entry.reason);
  }
}

}  // namespace

std::vector<IndexEntry> merged(std::vector<DeviceIndex> devices) {
  if (devices.size() == 1) return std::move(devices.front().entries);
  std::map<std::string, std::map<std::int64_t, std::pair<IndexEntry, std::string>>> by_name;
  for (const DeviceIndex& device : devices) {
    for (const IndexEntry& entry : device.entries) {
      const std::int64_t number = entry.version.empty() ? 0 : std::stoll(entry.version);
      const auto [at, fresh] = by_name[entry.name].try_emplace(number, entry, device.device);
      if (!fresh) join(at->second.first, at->second.second, entry, device.device);
    }
  }
  std::vector<IndexEntry> all;
  for (auto& [name, versions] : by_name) {
    // A device that knows no version of the model, or failed before it knew any, is told of by those who do.
    if (versions.size() > 1) versions.erase(0);
    for (auto& [number, version] : versions) all.push_back(std::move(version.first));
  }
  return all;
}

void VersionIndex::set(const std::string& model, std::int64_t version, VersionState state, std::string reason) {
  const std::lock_guard lock(mutex_);
  if (state == VersionState::kUnavailable && models_.size() >= kMaxIndexedModels && models_.count(model) == 0) return;
  auto& versions = models_[model];
  if (version != 0) versions.erase(0);
  versions[version] = {state, std::move(reason)};
}

VersionIndex::Entry* VersionIndex::find(const std::string& model, std::int64_t version) {
  const auto found = models_.find(model);
  if (found == models_.end()) return nullptr;
  const auto entry = found->second.find(version);
  return entry == found->second.end() ? nullptr : &entry->second;
}

void VersionIndex::suspend(const std::string& model, std::int64_t version, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(model, version);
  if (entry != nullptr && entry->state == VersionState::kReady) *entry = {VersionState::kUnavailable, reason};
}

void VersionIndex::resume(const std::string& model, std::int64_t version, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(model, version);
  const bool suspended = entry != nullptr && entry->state == VersionState::kUnavailable && entry->reason == reason;
  if (suspended) *entry = {VersionState::kReady, {}};
}

void VersionIndex::forget_failures(const std::string& model) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return;
  std::erase_if(found->second, [](const auto& entry) { return entry.second.state == VersionState::kUnavailable; });
}

bool VersionIndex::serves(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  return found != models_.end() && std::any_of(found->second.begin(), found->second.end(), [](const auto& entry) {
           return entry.second.state == VersionState::kReady;
         });
}

std::vector<std::string> VersionIndex::serving() const {
  std::vector<std::string> names;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, versions] : models_) {
    if (std::any_of(versions.begin(), versions.end(),
                    [](const auto& entry) { return entry.second.state == VersionState::kReady; })) {
      names.push_back(name);
    }
  }
  return names;
}

std::vector<IndexEntry> VersionIndex::entries(const std::vector<std::string>& known) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::vector<IndexEntry>> by_name;
  for (const std::string& name : known) by_name[name];
  for (const auto& [name, versions] : models_) {
    for (const auto& [version, entry] : versions) {
      by_name[name].push_back({name, version == 0 ? "" : std::to_string(version), name_of(entry.state), entry.reason});
    }
  }
  std::vector<IndexEntry> entries;
  for (auto& [name, versions] : by_name) {
    if (versions.empty()) entries.push_back({name, "", "", ""});
    for (IndexEntry& entry : versions) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace tessera::model
