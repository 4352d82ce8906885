// What a host device has accepted and not yet forgotten, and which of it waits for which.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "device/device.h"

namespace tessera::device {

// One accepted launch. `launch` is written before the flight is handed to the thread that runs it; the atomics are what
// that thread and the role holder share; the rest is the role holder's.
struct Flight {
  enum class Phase : std::uint8_t {
    kWaiting,    // for earlier launches
    kCommitted,  // handed to the thread that runs it
    kDropped,    // completed without having been committed
  };

  std::atomic<LaunchId> id{LaunchId{0}};  // 0: the place is free
  std::atomic<bool> cancelled{false};
  std::atomic<bool> claimed{false};  // by who runs it, or by the destructor that drops it
  Launch launch;
  Phase phase = Phase::kWaiting;
  std::uint32_t waits_for = 0;  // how many earlier flights
};

// The wait table. Owned by the holder of the dispatcher role; find() may also be called by the thread that was told to
// run a flight here, for that flight.
class Flights {
 public:
  static constexpr std::size_t kMaxInFlight = 1024;

  Flights();

  // Nothing when the table is full. The flight is ready to be committed if it waits for none.
  Flight* add(const Launch& launch);
  Flight* find(LaunchId id);
  std::size_t index_of(const Flight& flight) const { return static_cast<std::size_t>(&flight - flights_.data()); }
  Flight& at(std::size_t index) { return flights_[index]; }

  // Forgets a flight that has completed; `ready` gets those that waited for nothing else, in launch order.
  void remove(LaunchId id, std::vector<Flight*>& ready);

  const std::vector<Flight*>& in_order() const { return order_; }

 private:
  std::vector<Flight> flights_;
  std::vector<Flight*> order_;  // as launched
};

}  // namespace tessera::device
