#include "model/inspections.h"

namespace tessera::model {

std::optional<Inspection> Inspections::find(const std::filesystem::path& model) const {
  std::optional<Inspection> found;
  {
    const std::lock_guard lock(mutex_);
    if (const auto entry = kept_.find(model); entry != kept_.end()) found = entry->second;
  }
  if (found && !unchanged(found->found.stamps)) found.reset();
  return found;
}

void Inspections::keep(const Inspection& inspection) {
  const std::lock_guard lock(mutex_);
  kept_.insert_or_assign(inspection.found.model, inspection);
  if (kept_.size() > kMost) kept_.erase(kept_.begin());
}

}  // namespace tessera::model
