#include "model/inspections.h"

namespace tessera::model {

std::optional<Inspection> Inspections::find(const VersionFiles& model) const {
  std::optional<Inspection> found;
  {
    const std::lock_guard lock(mutex_);
    if (const auto entry = kept_.find(model.model); entry != kept_.end()) found = entry->second;
  }
  if (!found) return found;
  // Links may lead elsewhere than they did.
  VersionFiles now = model;
  const bool same = add_external(found->signature.external_data, now).ok() && now.stamps == found->found.stamps;
  return same ? found : std::nullopt;
}

void Inspections::keep(const Inspection& inspection) {
  const std::lock_guard lock(mutex_);
  kept_.insert_or_assign(inspection.found.model, inspection);
  if (kept_.size() > kMost) kept_.erase(kept_.begin());
}

}  // namespace tessera::model
