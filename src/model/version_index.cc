#include "model/version_index.h"

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

}  // namespace

void VersionIndex::set(const std::string& model, std::int64_t version, VersionState state, std::string reason) {
  const std::lock_guard lock(mutex_);
  if (state == VersionState::kUnavailable && models_.size() >= kMaxIndexedModels && models_.count(model) == 0) return;
  auto& versions = models_[model];
  if (version != 0) versions.erase(0);
  versions[version] = {state, std::move(reason)};
}

void VersionIndex::forget_failures(const std::string& model) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return;
  std::erase_if(found->second, [](const auto& entry) { return entry.second.state == VersionState::kUnavailable; });
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
