#include "engine/onnxruntime/cuda/lane.h"

#include <utility>

namespace tessera::engine {
namespace {

// Of addresses, of which there are plenty; memory is mapped into them as it is needed.
constexpr Bytes kLaneAddresses{std::uint64_t{8} << 30};

}  // namespace

Result<std::unique_ptr<Lane>> Lane::make(const CudaParts& parts, std::shared_ptr<device::MemoryBudget> budget,
                                         std::size_t moves) {
  TESSERA_ASSIGN_OR_RETURN(std::unique_ptr<device::DeviceRegion> region,
                           device::DeviceRegion::reserve(parts.gpu, kLaneAddresses, std::move(budget)));
  std::unique_ptr<Lane> lane(new Lane(parts, std::move(region), moves));  // NOLINT: the constructor is private
  TESSERA_ASSIGN_OR_RETURN(lane->control_, parts.device.staging().lease({device::control_size(moves)}));
  TESSERA_ASSIGN_OR_RETURN(lane->scratch_, lane->memory_->allocate(device::kFrameBytes));
  const device::Driver& driver = parts.driver();
  const CUstream stream = parts.device.build_stream();
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.memset_d8_async(lane->scratch_, 0, device::kFrameBytes, stream), "clear a lane"));
  TESSERA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream), "clear a lane"));
  return lane;
}

Result<Lane*> Lanes::at(LaneIndex lane) {
  if (lane.value >= lanes_.size()) {
    return internal_error("the model has " + std::to_string(lanes_.size()) + " lanes");
  }
  auto& found = lanes_[lane.value];
  if (found == nullptr) {
    TESSERA_ASSIGN_OR_RETURN(found, Lane::make(parts_, budget_, moves_));
  }
  return found.get();
}

std::vector<device::NamedRange> Lanes::others(LaneIndex lane) const {
  std::vector<device::NamedRange> ranges;
  for (std::size_t other = 0; other < lanes_.size(); ++other) {
    if (other != lane.value && lanes_[other] != nullptr) {
      ranges.push_back(lanes_[other]->addresses("lane " + std::to_string(other)));
    }
  }
  return ranges;
}

}  // namespace tessera::engine
