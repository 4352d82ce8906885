#include "device/cuda/completion_poller.h"

#include <algorithm>
#include <utility>

#include "base/affinity.h"
#include "base/clock.h"
#include "base/pause.h"

namespace tessera::device {

CompletionPoller::CompletionPoller(std::string name, Watcher watcher, Duration pause)
    : watcher_(std::move(watcher)), pause_(pause) {
  watched_.reserve(LaunchOrder::kPlaces);
  unreported_.reserve(LaunchOrder::kPlaces);
  sem_init(&signal_, 0, 0);
  thread_ = std::thread([this, name = std::move(name)] { loop(name); });
}

CompletionPoller::~CompletionPoller() {
  stop();
  sem_destroy(&signal_);
}

void CompletionPoller::stop() {
  if (!thread_.joinable()) {
    return;
  }
  stopping_.store(true);
  sem_post(&signal_);
  thread_.join();
}

void CompletionPoller::watch(std::size_t place, const Places& waits_for, TimePoint queued) {
  const std::size_t at = written_.load(std::memory_order_relaxed);
  ring_[at % ring_.size()] = {place, waits_for, queued};
  // In one order with sleep(): either that thread sees what was written, or this one sees that it sleeps.
  written_.store(at + 1, std::memory_order_seq_cst);
  if (asleep_.exchange(false, std::memory_order_seq_cst)) {
    sem_post(&signal_);
  }
}

void CompletionPoller::take_in() {
  const std::size_t written = written_.load(std::memory_order_acquire);
  for (; read_ != written; ++read_) {
    Flight flight = ring_[read_ % ring_.size()];
    // Launches are taken in as they were made, so one that is not watched now has ended.
    for (std::size_t place = 0; place < ended_at_.size(); ++place) {
      if (flight.waits_for.test(place) && !watched_places_.test(place)) {
        flight.waits_for.reset(place);
        begins_after(flight, ended_at_[place]);
      }
    }
    watched_places_.set(flight.place);
    watched_.push_back(flight);
  }
}

void CompletionPoller::loop(const std::string& name) {
  name_this_thread(name);
  watcher_.begin();
  pass_ = now();
  for (;;) {
    looking_since_ = std::exchange(pass_, now());
    take_in();
    if (watched_.empty() && unreported_.empty()) {
      if (stopping_.load() && read_ == written_.load()) {
        return;
      }
      sleep();
    } else if (const bool left = report_again(); look_at_all() || left) {
      continue;
    } else if (watcher_.await && !watched_.empty()) {
      await_first();
      pass_ = now();  // of the one that was waited for; of others it may be late by more
    } else if (pause_ > Duration::zero()) {
      std::this_thread::sleep_for(pause_);
      pass_ += pause_;  // which is meant; what it sleeps beyond is not
    } else {
      pause_briefly();
    }
  }
}

// The first of those that may be running: there is one, as what waits for nothing is never behind all others.
void CompletionPoller::await_first() {
  const auto first =
      std::find_if(watched_.begin(), watched_.end(), [](const Flight& flight) { return flight.waits_for.none(); });
  watcher_.await(first->place);
}

// True: something was reported.
bool CompletionPoller::report_again() {
  return std::erase_if(unreported_, [&](const Ended& ended) { return watcher_.report(ended); }) > 0;
}

// True: something has ended. Indexes and not iterators: what a report launches comes to the ring, not in here.
bool CompletionPoller::look_at_all() {
  bool any = false;
  for (std::size_t i = 0; i < watched_.size();) {
    if (!everything_ended_ && watched_[i].waits_for.any()) {
      ++i;
      continue;
    }
    const Look look = everything_ended_ ? Look::kEverythingEnded : watcher_.look(watched_[i].place);
    everything_ended_ = look == Look::kEverythingEnded;
    if (look == Look::kRunning) {
      ++i;
    } else {
      end(i, now());
      any = true;
    }
  }
  return any;
}

void CompletionPoller::end(std::size_t index, TimePoint at) {
  const Flight flight = watched_[index];
  watched_.erase(watched_.begin() + static_cast<std::ptrdiff_t>(index));
  watched_places_.reset(flight.place);
  // A launch that was made since the last pass ended no sooner than that.
  const Duration blur = std::min(at - looking_since_, std::max(Duration{0}, at - flight.started) + flight.blur);
  const Seen seen = ended_at_[flight.place] = {at, blur};
  for (Flight& other : watched_) {
    if (other.waits_for.test(flight.place)) {
      other.waits_for.reset(flight.place);
      begins_after(other, seen);
    }
  }
  const Ended ended{.place = flight.place,
                    .ran = flight.waits_for.none(),
                    .started = std::min(flight.started, at),
                    .ended = at,
                    .blur = std::max(blur, flight.blur)};
  if (!watcher_.report(ended)) {
    unreported_.push_back(ended);
  }
}

void CompletionPoller::begins_after(Flight& flight, const Seen& before) {
  if (before.at > flight.started) {
    flight.started = before.at;
    flight.blur = before.blur;
  }
}

void CompletionPoller::sleep() {
  asleep_.store(true, std::memory_order_seq_cst);
  if (read_ != written_.load(std::memory_order_seq_cst) || stopping_.load()) {
    asleep_.store(false);
    return;  // a post that came meanwhile only makes the next sleep short
  }
  sem_wait(&signal_);  // may return early: the caller looks again
  asleep_.store(false);
}

}  // namespace tessera::device
