#include "device/host/flights.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace tessera::device {
namespace {

static_assert(std::has_single_bit(Flights::kMaxInFlight));

bool must_wait(const Launch& later, const Launch& earlier) {
  // A slice has one worker, and plans count on never being run twice at once in one slice.
  if (later.slice == earlier.slice) {
    return true;
  }
  return later.after == After::kLane ? later.instance == earlier.instance && later.lane == earlier.lane
                                     : later.slice.overlaps(earlier.slice);
}

}  // namespace

Flights::Flights() : flights_(kMaxInFlight) { order_.reserve(kMaxInFlight); }

Flight* Flights::add(const Launch& launch) {
  TESSERA_CHECK(launch.id.value != 0);
  if (order_.size() == kMaxInFlight) {
    return nullptr;
  }
  // Ids are given in sequence, so the place that an id points at is nearly always free, and find() hits at once.
  std::size_t place = launch.id.value % kMaxInFlight;
  for (LaunchId taken = flights_[place].id; taken.value != 0; taken = flights_[place].id) {
    TESSERA_CHECK(taken != launch.id);
    place = (place + 1) % kMaxInFlight;
  }
  Flight& flight = flights_[place];
  flight.launch = launch;
  flight.phase = Flight::Phase::kWaiting;
  flight.cancelled.store(false, std::memory_order_relaxed);
  flight.claimed.store(false, std::memory_order_relaxed);
  flight.waits_for = static_cast<std::uint32_t>(std::count_if(
      order_.begin(), order_.end(), [&](const Flight* earlier) { return must_wait(launch, earlier->launch); }));
  flight.id.store(launch.id, std::memory_order_release);
  order_.push_back(&flight);
  return &flight;
}

Flight* Flights::find(LaunchId id) {
  for (std::size_t step = 0; step < kMaxInFlight; ++step) {
    Flight& flight = flights_[(id.value + step) % kMaxInFlight];
    if (flight.id.load(std::memory_order_acquire) == id) {
      return &flight;
    }
  }
  return nullptr;
}

void Flights::remove(LaunchId id, std::vector<Flight*>& ready) {
  ready.clear();
  const auto gone =
      std::find_if(order_.begin(), order_.end(), [id](const Flight* flight) { return flight->id.load() == id; });
  TESSERA_CHECK(gone != order_.end());
  for (auto later = gone + 1; later != order_.end(); ++later) {
    Flight& flight = **later;
    if (must_wait(flight.launch, (*gone)->launch) && --flight.waits_for == 0 &&
        flight.phase == Flight::Phase::kWaiting) {
      ready.push_back(&flight);
    }
  }
  (*gone)->id.store(LaunchId{0}, std::memory_order_release);
  order_.erase(gone);
}

}  // namespace tessera::device
