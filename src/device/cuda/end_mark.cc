#include "device/cuda/end_mark.h"

#include <atomic>
#include <cstring>

#include "device/cuda/pinned_staging.h"

namespace tessera::device {

Result<std::vector<EndMark>> EndMark::make(const std::shared_ptr<Gpu>& gpu, std::size_t count, unsigned event_flags) {
  const Driver& driver = gpu->driver();
  const CurrentContext current(*gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(const std::shared_ptr<void> memory, pin(gpu, count * sizeof(std::uint32_t)));
  std::memset(memory.get(), 0, count * sizeof(std::uint32_t));
  std::vector<EndMark> marks;
  for (std::size_t place = 0; place < count; ++place) {
    CUevent event = nullptr;
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.event_create(&event, CU_EVENT_DISABLE_TIMING | event_flags), "make an event"));
    EndMark mark(driver, memory, place);
    mark.event_ = OwnedEvent(driver, event);
    marks.push_back(std::move(mark));
  }
  return marks;
}

Status EndMark::mark(CUstream stream, bool written_by_it) {
  TESSERA_RETURN_IF_ERROR(driver_->check(driver_->event_record(event_.get(), stream), "mark an end"));
  return written_by_it ? ok_status()
                       : driver_->check(driver_->stream_write_value(stream, word(), number_, 0), "mark an end");
}

Status EndMark::mark_apart(CUstream stream, CUstream writer) {
  TESSERA_RETURN_IF_ERROR(driver_->check(driver_->event_record(event_.get(), stream), "mark an end"));
  TESSERA_RETURN_IF_ERROR(driver_->check(driver_->stream_wait_event(writer, event_.get(), 0), "mark an end"));
  return driver_->check(driver_->stream_write_value(writer, word(), number_, 0), "mark an end");
}

bool EndMark::written() const { return std::atomic_ref(*word_).load(std::memory_order_acquire) == number_; }

CUresult EndMark::ask() const { return driver_->event_query(event_.get()); }

CUresult EndMark::await() const { return driver_->event_synchronize(event_.get()); }

}  // namespace tessera::device
