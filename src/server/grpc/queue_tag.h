// What a completion queue hands back.
#pragma once

namespace tessera::server {

// What was begun on a completion queue; a thread of the queue is told how it ended.
class QueueTag {
 public:
  virtual ~QueueTag() = default;
  virtual void complete(bool ok) = 0;
};

}  // namespace tessera::server
