// What a thread writes to end the sleep of a sender: readable and writable through one descriptor, so that it
// can be handed on as one number. All return a negative errno when they fail.
#pragma once

namespace ackgate {

/** Never blocks. */
int createWakeDescriptor();
int wake(int fd);
/** Until the next `wake` it is not readable. */
void clearWake(int fd);

}  // namespace ackgate
