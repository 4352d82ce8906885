// Where the plans of an instance are found: by slice, batch size and lane.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "core/slice.h"
#include "device/device.h"

namespace tessera::runtime {

// Filled by the loader thread, read by the holder of the dispatcher's role. Thread-safe.
class PlanTable {
 public:
  // `buckets` ascending; `one_plan_per_slice`: one plan stands for every bucket and lane of its slice.
  PlanTable(const DeviceShape& device, std::vector<std::int32_t> buckets, std::uint16_t lanes, bool one_plan_per_slice);

  // The slice must be on the ladder, the bucket one of the instance's, the lane below its number of lanes.
  void set(const Slice& slice, std::int32_t bucket, LaneIndex lane, const device::Plan* plan);

  // nullptr: no such plan.
  const device::Plan* find(const Slice& slice, std::int32_t bucket, LaneIndex lane) const;

 private:
  std::optional<std::size_t> place(const Slice& slice, std::int32_t bucket, LaneIndex lane) const;

  std::map<Slice, std::size_t> slices_;
  std::vector<std::int32_t> buckets_;
  std::uint16_t lanes_;
  bool one_plan_per_slice_;
  std::vector<std::atomic<const device::Plan*>> plans_;
};

}  // namespace tessera::runtime
