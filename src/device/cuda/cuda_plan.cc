#include "device/cuda/cuda_plan.h"

namespace tessera::device {

Status inputs_arrived(const Driver& driver, const LaunchQueue& queue) {
  TESSERA_RETURN_IF_ERROR(driver.check(driver.event_record(queue.arrived, queue.inbound), "order the inputs"));
  return driver.check(driver.stream_wait_event(queue.run, queue.arrived, 0), "order the inputs");
}

}  // namespace tessera::device
