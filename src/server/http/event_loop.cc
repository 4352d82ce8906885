#include "server/http/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace tessera::server::http {

namespace asio = boost::asio;
using AsioError = boost::system::error_code;

class EventLoop::State {
 public:
  // One thread runs the context, so Asio may leave out what only several need.
  State() : context(1), work(asio::make_work_guard(context)) {}

  struct Periodic : std::enable_shared_from_this<Periodic> {
    Periodic(asio::io_context& context, std::chrono::milliseconds every, std::shared_ptr<Task> what)
        : timer(context), period(every), task(std::move(what)) {}

    void start() {
      timer.expires_after(period);
      timer.async_wait([self = shared_from_this()](const AsioError& error) {
        if (!error) {
          self->task->run();
          self->start();
        }
      });
    }

    asio::steady_timer timer;
    const std::chrono::milliseconds period;
    const std::shared_ptr<Task> task;
  };

  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work;
};

EventLoop::EventLoop() : state_(std::make_unique<State>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() { state_->context.run(); }
void EventLoop::stop() { state_->context.stop(); }

void EventLoop::post(std::shared_ptr<Task> task) {
  asio::post(state_->context, [task = std::move(task)] { task->run(); });
}

void EventLoop::every(std::chrono::milliseconds period, std::shared_ptr<Task> task) {
  std::make_shared<State::Periodic>(state_->context, period, std::move(task))->start();
}

bool EventLoop::in_loop_thread() const { return state_->context.get_executor().running_in_this_thread(); }

class Watch::State {
 public:
  State(asio::io_context& context, int fd) : descriptor(context, fd) {}
  asio::posix::stream_descriptor descriptor;
};

Watch::Watch(EventLoop& loop, int descriptor) : state_(std::make_unique<State>(loop.state_->context, descriptor)) {}
Watch::~Watch() = default;

int Watch::descriptor() const { return state_->descriptor.native_handle(); }

void Watch::wait_readable(std::shared_ptr<Watcher> watcher) {
  state_->descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                [watcher = std::move(watcher)](const AsioError& error) {
                                  if (!error) {
                                    watcher->readable();
                                  }
                                });
}

void Watch::wait_writable(std::shared_ptr<Watcher> watcher) {
  state_->descriptor.async_wait(asio::posix::descriptor_base::wait_write,
                                [watcher = std::move(watcher)](const AsioError& error) {
                                  if (!error) {
                                    watcher->writable();
                                  }
                                });
}

void Watch::close() {
  AsioError ignored;
  state_->descriptor.close(ignored);
}

}  // namespace tessera::server::http
