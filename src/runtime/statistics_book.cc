#include "runtime/statistics_book.h"

#include <algorithm>
#include <tuple>

namespace tessera::runtime {

void StatisticsBook::add(const std::shared_ptr<ServedInstance>& served) {
  const model::Instance& instance = *served->instance;
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.gone && entry.model == instance.name; });
  entries_.push_back({instance.id, instance.name, instance.version, false, served->counters, served});
}

void StatisticsBook::withdraw(InstanceId instance) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.instance == instance; });
  if (found == entries_.end()) {
    return;
  }
  if (followed(*found)) {
    entries_.erase(found);
  } else {
    found->gone = true;
  }
}

bool StatisticsBook::followed(const Entry& entry) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& other) {
    return other.model == entry.model && other.version == entry.version && other.instance > entry.instance;
  });
}

std::vector<ModelStatistics> StatisticsBook::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelStatistics> out;
  for (const Entry& entry : entries_) {
    if (followed(entry)) {
      continue;
    }
    ModelStatistics& one = out.emplace_back(entry.counters->snapshot());
    const auto served = entry.gone ? nullptr : entry.served.lock();
    if (served && served->instance->engine_model) {
      one.memory[entry.counters->device()] = served->instance->engine_model->memory();
    }
  }
  std::sort(out.begin(), out.end(), [](const ModelStatistics& a, const ModelStatistics& b) {
    return std::tie(a.model, a.version) < std::tie(b.model, b.version);
  });
  return out;
}

Result<std::vector<ModelStatistics>> StatisticsBook::of(std::string_view model,
                                                        std::optional<std::int64_t> version) const {
  return of_model(all(), model, version);
}

std::uint64_t StatisticsBook::unanswered() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const Entry& entry : entries_) {
    if (const auto served = entry.served.lock()) {
      sum += served->unanswered.load();
    }
  }
  return sum;
}

}  // namespace tessera::runtime
