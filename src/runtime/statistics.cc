#include "runtime/statistics.h"

#include <algorithm>
#include <tuple>

namespace tessera::runtime {
namespace {

void add(CountAndTime& into, const CountAndTime& other) {
  into.count += other.count;
  into.total += other.total;
}

}  // namespace

void merge(ModelStatistics& into, const ModelStatistics& other) {
  into.inference_count += other.inference_count;
  into.execution_count += other.execution_count;
  into.uncaptured_batches += other.uncaptured_batches;
  into.last_inference_ms = std::max(into.last_inference_ms, other.last_inference_ms);
  add(into.success, other.success);
  add(into.fail, other.fail);
  add(into.queue, other.queue);
  add(into.compute_input, other.compute_input);
  add(into.compute_infer, other.compute_infer);
  add(into.compute_output, other.compute_output);
  for (const auto& [size, batch] : other.batches) {
    ModelStatistics::Batch& mine = into.batches[size];
    add(mine.compute_input, batch.compute_input);
    add(mine.compute_infer, batch.compute_infer);
    add(mine.compute_output, batch.compute_output);
  }
  for (const auto& [reason, count] : other.failures) {
    into.failures[reason] += count;
  }
  into.pending += other.pending;
  into.with_slo += other.with_slo;
  into.met_slo += other.met_slo;
  into.latency.merge(other.latency);
  into.queue_time.merge(other.queue_time);
  if (into.fastest_measured == Duration{0} || other.fastest_measured == Duration{0}) {
    into.fastest_measured = std::max(into.fastest_measured, other.fastest_measured);
  } else {
    into.fastest_measured = std::min(into.fastest_measured, other.fastest_measured);
  }
  into.memory.insert(other.memory.begin(), other.memory.end());
  into.evictions += other.evictions;
  into.waiting_for_return += other.waiting_for_return;
  into.return_time.merge(other.return_time);
  into.atom_seconds += other.atom_seconds;
  for (const auto& [place, count] : other.launches_by_atom) {
    into.launches_by_atom[place] += count;
  }
}

std::vector<ModelStatistics> merged(std::vector<ModelStatistics> all) {
  std::stable_sort(all.begin(), all.end(), [](const ModelStatistics& a, const ModelStatistics& b) {
    return std::tie(a.model, a.version) < std::tie(b.model, b.version);
  });
  std::vector<ModelStatistics> out;
  for (ModelStatistics& entry : all) {
    if (!out.empty() && out.back().model == entry.model && out.back().version == entry.version) {
      merge(out.back(), entry);
    } else {
      out.push_back(std::move(entry));
    }
  }
  return out;
}

Result<std::vector<ModelStatistics>> of_model(std::vector<ModelStatistics> all, std::string_view model,
                                              std::optional<std::int64_t> version) {
  std::erase_if(all, [&](const ModelStatistics& entry) {
    return entry.model != model || (version && entry.version != *version);
  });
  if (all.empty()) {
    return invalid_argument("requested model '" + std::string(model) + "' is not available");
  }
  return all;
}

}  // namespace tessera::runtime
