#include "runtime/model_table.h"

#include <algorithm>
#include <utility>

namespace tessera::runtime {

ModelTable::ModelTable(Bytes quota_per_model)
    : quota_per_model_(quota_per_model), table_(std::make_unique<const Table>()) {}

const std::shared_ptr<ServedInstance>* ModelTable::look_up(const Table& table, std::string_view model,
                                                           std::optional<std::int64_t> version) {
  const auto name = table.find(model);
  if (name == table.end()) {
    return nullptr;
  }
  const auto& versions = name->second.versions;
  if (!version) {
    return &versions.back();
  }
  const auto found = std::find_if(versions.begin(), versions.end(),
                                  [&](const auto& served) { return served->instance->version == *version; });
  return found == versions.end() ? nullptr : &*found;
}

std::shared_ptr<ServedInstance> ModelTable::find(std::string_view model, std::optional<std::int64_t> version) const {
  const auto table = table_.read();
  const auto* served = look_up(*table, model, version);
  return served == nullptr ? nullptr : *served;
}

std::shared_ptr<ServedInstance> ModelTable::enter(std::string_view model, std::optional<std::int64_t> version) const {
  const auto table = table_.read();
  const auto* served = look_up(*table, model, version);
  if (served == nullptr) {
    return nullptr;
  }
  (*served)->admitting.fetch_add(1);
  (*served)->unanswered.fetch_add(1);
  return *served;
}

std::shared_ptr<ByteQuota> ModelTable::quota(std::string_view model) const {
  const auto table = table_.read();
  const auto name = table->find(model);
  return name == table->end() ? nullptr : name->second.quota;
}

std::vector<std::int64_t> ModelTable::versions(std::string_view model) const {
  std::vector<std::int64_t> out;
  const auto table = table_.read();
  if (const auto name = table->find(model); name != table->end()) {
    for (const auto& served : name->second.versions) {
      out.push_back(served->instance->version);
    }
  }
  return out;
}

std::vector<std::shared_ptr<ServedInstance>> ModelTable::all() const {
  std::vector<std::shared_ptr<ServedInstance>> out;
  const auto table = table_.read();
  for (const auto& [name, entry] : *table) {
    out.insert(out.end(), entry.versions.begin(), entry.versions.end());
  }
  return out;
}

void ModelTable::put(std::shared_ptr<ServedInstance> served) {
  auto next = std::make_unique<Table>(*table_.read());
  Name& name = (*next)[served->instance->name];
  if (!name.quota) {
    name.quota = std::make_shared<ByteQuota>(quota_per_model_);
  }
  const auto at = std::lower_bound(name.versions.begin(), name.versions.end(), served->instance->version,
                                   [](const auto& a, std::int64_t version) { return a->instance->version < version; });
  if (at != name.versions.end() && (*at)->instance->version == served->instance->version) {
    *at = std::move(served);
  } else {
    name.versions.insert(at, std::move(served));
  }
  table_.replace(std::move(next));
}

void ModelTable::remove(InstanceId instance) {
  auto next = std::make_unique<Table>(*table_.read());
  for (auto name = next->begin(); name != next->end(); ++name) {
    auto& versions = name->second.versions;
    const auto at = std::find_if(versions.begin(), versions.end(),
                                 [&](const auto& served) { return served->instance->id == instance; });
    if (at != versions.end()) {
      versions.erase(at);
      if (versions.empty()) {
        next->erase(name);
      }
      break;
    }
  }
  table_.replace(std::move(next));
}

}  // namespace tessera::runtime
