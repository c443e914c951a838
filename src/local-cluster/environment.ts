/** What servers and their programs get of our environment: none of the user's settings for clients of theirs. */
export const plainEnvironment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' };
