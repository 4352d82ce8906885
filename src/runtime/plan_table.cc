#include "runtime/plan_table.h"

#include <algorithm>
#include <utility>

namespace tessera::runtime {

PlanTable::PlanTable(const DeviceShape& device, std::vector<std::int32_t> buckets, std::uint16_t lanes,
                     bool one_plan_per_slice)
    : buckets_(std::move(buckets)),
      lanes_(lanes),
      one_plan_per_slice_(one_plan_per_slice),
      plans_(device.ladder.size() * (one_plan_per_slice ? 1 : buckets_.size() * lanes)) {
  for (const Slice& slice : device.ladder) {
    slices_.emplace(slice, slices_.size());
  }
}

std::optional<std::size_t> PlanTable::place(const Slice& slice, std::int32_t bucket, LaneIndex lane) const {
  const auto found = slices_.find(slice);
  if (found == slices_.end()) {
    return std::nullopt;
  }
  if (one_plan_per_slice_) {
    return found->second;
  }
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), bucket);
  if (at == buckets_.end() || *at != bucket || lane.value >= lanes_) {
    return std::nullopt;
  }
  return (found->second * buckets_.size() + static_cast<std::size_t>(at - buckets_.begin())) * lanes_ + lane.value;
}

void PlanTable::set(const Slice& slice, std::int32_t bucket, LaneIndex lane, const device::Plan* plan) {
  const auto where = place(slice, bucket, lane);
  TESSERA_CHECK(where.has_value());
  plans_[*where].store(plan, std::memory_order_release);
}

const device::Plan* PlanTable::find(const Slice& slice, std::int32_t bucket, LaneIndex lane) const {
  const auto where = place(slice, bucket, lane);
  return where ? plans_[*where].load(std::memory_order_acquire) : nullptr;
}

}  // namespace tessera::runtime
